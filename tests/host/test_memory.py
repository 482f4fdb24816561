"""What was freed goes back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import psutil
from ptdq.host.memory import give_back
rss = lambda: psutil.Process().memory_info().rss
give_back()
parts = [bytes(1000) for _ in range(200_000)]
last = parts[-1]  # above the others, so that the C library keeps what is below
del parts
held = rss()
give_back()
print(held - rss())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no malloc_trim")
def test_most_of_it_goes_back() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 100_000_000
