"""The variants: one small interface (``base``), one file each, found by name (``registry``)."""
