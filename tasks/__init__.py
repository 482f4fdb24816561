"""The steps of a benchmark, as plain functions, and thin Prefect shells over them (``steps``)."""
