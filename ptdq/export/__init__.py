"""``ptdq export``: a measured artifact as a directory that stands alone, without this package."""
