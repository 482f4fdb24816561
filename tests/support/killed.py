"""Variants for tests whose preparation is killed in the middle, with half an artifact on the disk."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from ptdq.variants.fp32 import Fp32


class Killed(Fp32):
    """The process that prepares it is killed."""

    name = "killed"

    def prepare(self, source: Any, directory: Path, settings: Any, calibration: Any) -> Any:
        (directory / "weights").write_bytes(bytes(1_000_000))
        os.kill(self.victim(), signal.SIGKILL)
        signal.pause()

    def victim(self) -> int:
        """Who is killed."""
        return os.getpid()


class KilledWithItsRun(Killed):
    """The process of the run is killed, and with it the one that prepares."""

    name = "killed-with-its-run"

    def victim(self) -> int:
        return os.getppid()
