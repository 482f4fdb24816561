"""What `make check` asks of the code itself: contracts for import-linter, and the longest of it."""
