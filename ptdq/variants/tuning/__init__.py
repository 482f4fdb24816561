"""How ``int8-best`` is found: a declared space, what each of it makes, and which is fastest here."""
