"""``ptdq why``: where the time of a document goes, and what can be done about it."""
