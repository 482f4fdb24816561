"""What is set for Prefect before it is imported, where the user has not set it."""

from __future__ import annotations

import os

DEFAULTS = {
    # Nothing leaves the machine unasked.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # The temporary server may take long to start on a busy machine.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
}


def set_defaults() -> None:
    """Set environment variables of Prefect that are not set; without effect once it is imported."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
