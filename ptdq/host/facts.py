"""The machine as the record of a run has it.

Apart from :mod:`ptdq.host.machine`, which the worker imports: a record's types take their time to load.
"""

from __future__ import annotations

import platform

import psutil

from ptdq.host import machine
from ptdq.store.record_model import MachineFacts


def machine_facts(cores: list[int]) -> MachineFacts:
    """The machine as it is now, for a run on these cores."""
    return MachineFacts(
        cpu=machine.cpu_model(),
        flags=machine.cpu_flags(),
        cores=cores,
        cores_usable=machine.usable_cores(),
        can_pin=machine.can_pin(),
        governor=machine.governor(cores[0]),
        memory_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.release()}",
        architecture=platform.machine(),
        python=platform.python_version(),
        node=platform.node(),
        load_before=machine.load_average(),
    )
