"""Both ends of a measurement: the parent that places, starts and ends workers, and the worker."""
