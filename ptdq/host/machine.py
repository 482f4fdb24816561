"""Facts of the machine, read and never changed; and the one place that knows of core affinity."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from ptdq.errors import UserError

# Flags that decide how fast (and how exact, without VNNI) int8 arithmetic is.
FLAGS_THAT_MATTER = (
    "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx_vnni",
    "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "sve", "bf16",
)  # fmt: skip
VNNI = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
"""Flags of CPUs that add products of int8 in 32 bits. Others add pairs of them in 16, which saturate."""
ISA_CAP = "ONEDNN_MAX_CPU_ISA"
"""The variable by which oneDNN, in torch and in OpenVINO, is kept to older instructions.
https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html"""
FBGEMM_CAP = "FBGEMM_ENABLE_INSTRUCTIONS"
_BEYOND_AVX2 = (
    "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "amx_int8",
    "amx_bf16",
)  # fmt: skip
_BEYOND: dict[str, tuple[str, ...]] = {
    "AVX2": _BEYOND_AVX2,
    "AVX512_CORE": ("avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"),
    "AVX512_CORE_VNNI": ("avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"),
    "AVX512_CORE_BF16": ("amx_tile", "amx_int8", "amx_bf16"),
}
_CAPS: dict[str, dict[str, str]] = {
    "avx2": {
        ISA_CAP: "AVX2", FBGEMM_CAP: "AVX2", "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2", "TORCHINDUCTOR_CPP_MARCH": "x86-64-v3",
    },
    "avx512_vnni": {
        ISA_CAP: "AVX512_CORE_VNNI", FBGEMM_CAP: "AVX512_E1", "ATEN_CPU_CAPABILITY": "avx512",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512_E1", "TORCHINDUCTOR_CPP_MARCH": "cascadelake",
    },
    "amx_int8": {
        ISA_CAP: "AVX512_CORE_AMX", FBGEMM_CAP: "AVX512_E1", "ATEN_CPU_CAPABILITY": "avx512",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512_E4", "TORCHINDUCTOR_CPP_MARCH": "sapphirerapids",
    },
}  # fmt: skip
"""By cap, the variables that keep runtimes to it, read when each is loaded: of oneDNN in torch and in
OpenVINO, of FBGEMM, of torch's own kernels and Inductor's vectors, of MKL
(https://www.intel.com/content/www/us/en/docs/onemkl/developer-guide-linux/2024-0/instruction-set-specific-dispatch-on-intel-archs.html),
and the CPU that Inductor's compiler makes code for. ONNX Runtime has none."""
_cap: ContextVar[str | None] = ContextVar("isa", default=None)
_CPU = Path("/sys/devices/system/cpu")


@contextlib.contextmanager
def capped(isa: str | None) -> Iterator[None]:
    """In the block, and in the children that are started in it, runtimes are kept to a cap.

    Raises:
        UserError: the CPU has less than that.
    """
    if isa is not None:
        check_cap(isa)
    token = _cap.set(isa)
    try:
        yield
    finally:
        _cap.reset(token)


def check_cap(isa: str) -> None:
    """Raises UserError, which names what there is, where the CPU has less than a cap."""
    has = cpu_flags()
    if isa not in has:
        there = ", ".join(flag for flag in has if flag in _CAPS or flag.startswith(("avx", "amx")))
        raise UserError(
            f"isa {isa}: a cap takes away and cannot add; this CPU has {there or 'none of these'}"
        )


def known_cap(value: object) -> str | None:
    """What a record says of a cap, if it is one that there is."""
    return value if isinstance(value, str) and value in _CAPS else None


def cap() -> str | None:
    """The cap of the block that calls this, or of this process: its children have it too."""
    return _cap.get() or cap_of_process()


def cap_variables() -> dict[str, str]:
    """The environment of children that keeps them to the cap."""
    isa = cap()
    return {} if isa is None else _CAPS[isa]


def cap_of_process() -> str | None:
    """The cap that the environment of this process has; None where it is none of those that there are."""
    for isa, variables in _CAPS.items():
        if all(os.environ.get(name) == value for name, value in variables.items()):
            return isa
    return None


def hidden_flags() -> list[str]:
    """What the CPU has beyond the cap: what a runtime that cannot be capped would use all the same."""
    kept = set(cpu_flags())
    return [flag for flag in cpu_flags(capped=False) if flag not in kept]


def can_pin() -> bool:
    """Whether this system lets a process choose its cores (Linux does, macOS does not)."""
    return hasattr(os, "sched_setaffinity")


def usable_cores() -> list[int]:
    """Cores that this process may run on."""
    if can_pin():
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin(core: int) -> None:
    """Pin this thread, and every thread that it starts from now on, to one core."""
    os.sched_setaffinity(0, {core})


def affinity_of_threads() -> list[int]:
    """Cores that any thread of this process may run on, as the kernel says; empty if unknown."""
    if not can_pin():
        return []
    cores: set[int] = set()
    for thread in threading.enumerate():
        if thread.native_id is not None:
            with contextlib.suppress(ProcessLookupError):
                cores |= os.sched_getaffinity(thread.native_id)
    # Threads that native libraries started are known to the kernel only.
    with contextlib.suppress(OSError):
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(ProcessLookupError):
                cores |= os.sched_getaffinity(int(task.name))
    return sorted(cores)


def choose_cores(wanted: str | None, usable: list[int] | None = None) -> list[int]:
    """The cores that a run uses.

    Args:
        wanted: None for all usable ones, a number of cores, or a list such as ``0,1``; with a comma
            at its end, as in ``3,``, it is a list of one.
        usable: those to choose from; by default those of this process.

    Raises:
        UserError: not of that form, or a core that is not usable here.
    """
    if usable is None:
        usable = usable_cores()
    if wanted is None:
        return usable
    parts = [part.strip() for part in str(wanted).strip().removesuffix(",").split(",")]
    if not all(part.isdecimal() for part in parts):
        raise UserError(
            f"cores '{wanted}': expected a number of cores, or a list such as 0,1 (of one core: 0,)"
        )
    numbers = [int(part) for part in parts]
    if len(numbers) == 1 and "," not in str(wanted):
        count = numbers[0]
        if not 1 <= count <= len(usable):
            raise UserError(f"cores {count}: this machine has {len(usable)} usable ones")
        return usable[:count]
    unusable = sorted(set(numbers) - set(usable))
    if unusable or len(set(numbers)) != len(numbers):
        raise UserError(f"cores '{wanted}': usable and distinct ones are {usable}")
    return numbers


def cpu_model() -> str:
    """The CPU's name as its maker gives it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cpu_flags(capped: bool = True) -> list[str]:
    """Those of the CPU's flags that matter for quantized inference, and that runtimes may use here.

    A CPU that is capped (:func:`capped`, or :data:`ISA_CAP`) is one that has less.

    Args:
        capped: False for what libraries see that do not know the cap: MLAS, and FBGEMM where its own
            variable is not set.
    """
    known = cap_variables().get(ISA_CAP) or os.environ.get(ISA_CAP, "")
    beyond = _BEYOND.get(known.upper(), ()) if capped else ()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                flags = set(line.partition(":")[2].split())
                return [f for f in FLAGS_THAT_MATTER if f in flags and f not in beyond]
    return []


def adds_int8_exactly() -> bool:
    """Whether this CPU, as far as runtimes may use it, sums products of int8 without saturating."""
    return not set(VNNI).isdisjoint(cpu_flags())


def governor(core: int) -> str | None:
    """The frequency governor of a core; None where it is not readable (most virtual machines)."""
    return _read(_CPU / f"cpu{core}/cpufreq/scaling_governor")


def load_average() -> float | None:
    """One-minute load average; None where the system has none."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def peak_rss_bytes() -> int:
    """Largest resident set of this process.

    From ``/proc`` where there is one: ``ru_maxrss`` of a fresh child counts what its parent held at
    the moment of the fork.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@dataclass(frozen=True)
class CoreState:
    """Counters of one core at one moment; None where the system does not tell.

    Attributes:
        busy_seconds: time that anything ran on the core, since boot.
        steal_seconds: time that the hypervisor gave to others, since boot.
        throttle_count: thermal throttling events, since boot.
        frequency_mhz: its clock now.
    """

    busy_seconds: float | None
    steal_seconds: float | None
    throttle_count: int | None
    frequency_mhz: float | None


def core_state(core: int) -> CoreState:
    """Read the counters of a core."""
    busy = steal = None
    tick = os.sysconf("SC_CLK_TCK")
    with contextlib.suppress(OSError):
        for line in Path("/proc/stat").read_text().splitlines():
            name, *values = line.split()
            if name == f"cpu{core}":
                user, nice, system, _idle, _wait, irq, softirq, stolen = map(int, values[:8])
                busy = (user + nice + system + irq + softirq) / tick
                steal = stolen / tick
    throttle = _read(_CPU / f"cpu{core}/thermal_throttle/core_throttle_count")
    khz = _read(_CPU / f"cpu{core}/cpufreq/scaling_cur_freq")
    mhz = float(khz) / 1000 if khz is not None else _cpuinfo_mhz(core)
    return CoreState(busy, steal, int(throttle) if throttle is not None else None, mhz)


def _cpuinfo_mhz(core: int) -> float | None:
    with contextlib.suppress(OSError):
        processor = -1
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "processor":
                processor = int(value)
            elif key.strip() == "cpu MHz" and processor == core:
                return float(value)
    return None


def _read(path: Path) -> str | None:
    with contextlib.suppress(OSError):
        return path.read_text().strip()
    return None
