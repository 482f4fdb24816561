"""``ptdq tune``: the search for ``int8-best`` alone."""
