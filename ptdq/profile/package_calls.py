"""Time what a package of AOTInductor calls: its own kernels, and torch's.

A package is machine code that no profiler of torch sees: its kernels (``cpp_fused_…``) are plain
functions, and it calls torch's operators past the dispatcher. (Inductor can compile a range around each,
``cpp.enable_kernel_profile``, but then every cell would pay for them.) What it calls goes through the
table by which the dynamic linker binds its library, as the ELF standard has it; while calls are
profiled, entries of that table lead here first. https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.dynamic.html

Linux on x86-64 and ARM64 alone; elsewhere nothing is timed. Only for a process that does nothing else.
"""

from __future__ import annotations

import ctypes
import platform
import re
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_JUMP_SLOT = {"x86_64": 7, "aarch64": 1026}
"""Type of a relocation of a function that is bound, by the architecture."""
_WANTED = re.compile(r"^(cpp_fused|aoti_torch_cpu_|aoti_torch_proxy_executor)")
# Whatever a function takes is handed on: eight floating-point registers, and integers in registers and on
# the stack. Both calling conventions count the two kinds apart.
_INTEGERS = 36
_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_double] * 8, *[ctypes.c_int64] * _INTEGERS)
_CALIBRATION = 500


@dataclass
class Calls:
    """What was called, in its order.

    Attributes:
        watched: whether there is a package at all.
        made: name of a function and the seconds that it took.
        overhead: seconds that watching added, which are in none of these.
    """

    watched: bool = False
    made: list[tuple[str, float]] = field(default_factory=list)
    overhead: float = 0.0


@contextmanager
def package_calls() -> Iterator[Calls]:
    """What packages that are loaded call while the block runs; empty where there is none."""
    calls, undo, kept = Calls(), [], []
    slots = list(_slots()) if sys.platform == "linux" and platform.machine() in _JUMP_SLOT else []
    calls.watched = bool(slots)
    for name, address in slots:
        slot = ctypes.c_uint64.from_address(address)
        callback = _timing(name, slot.value, calls)
        kept.append(callback)  # as long as anything leads to it
        undo.append((slot, slot.value))
        slot.value = _address(callback)
    try:
        yield calls
    finally:
        for slot, value in undo:
            slot.value = value
    if slots:
        inside, outside = _costs()
        calls.made = [(name, max(0.0, seconds - inside)) for name, seconds in calls.made]
        calls.overhead = len(calls.made) * (inside + outside)


def _timing(name: str, address: int, calls: Calls) -> Any:
    original, clock, made = _FUNCTION(address), time.perf_counter, calls.made

    def timed(*arguments: Any) -> int:
        start = clock()
        result: int = original(*arguments)
        made.append((name, clock() - start))
        return result

    return _FUNCTION(timed)


def _costs() -> tuple[float, float]:
    """Seconds that watching adds to a call: to the time that is taken of it, and besides that."""
    function = ctypes.CDLL(None).getppid
    direct = _FUNCTION(_address(function))
    watched = _FUNCTION(_address(kept := _timing("", _address(function), Calls())))
    arguments = (*[0.0] * 8, *[0] * _INTEGERS)
    least = []
    for one in (direct, watched):
        spent = []
        for _ in range(_CALIBRATION):
            start = time.perf_counter()
            one(*arguments)
            spent.append(time.perf_counter() - start)
        # What is in the way makes it longer and never shorter.
        least.append(sorted(spent)[len(spent) // 4])
    del kept
    return least[0], max(0.0, least[1] - least[0])


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _slots() -> Iterator[tuple[str, int]]:
    """Names and addresses of the entries of all packages that this process has loaded.

    Only of tables that may be written: a library linked with ``-z relro -z now`` has its own closed
    once it is loaded, and a write there ends the process.
    """
    bases: dict[str, int] = {}
    writable: list[range] = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line[73:]
        start, end = (int(number, 16) for number in line.split()[0].split("-"))
        if "w" in line.split()[1]:
            writable.append(range(start, end))
        if path.endswith(".so") and "/aotinductor/" in path:
            bases[path] = min(start, bases.get(path, start))
    for path, base in bases.items():
        for name, offset in bound_functions(Path(path).read_bytes()):
            if _WANTED.match(name) and any(base + offset in memory for memory in writable):
                yield name, base + offset


def bound_functions(library: bytes) -> Iterator[tuple[str, int]]:
    """Functions that a 64-bit little-endian library binds, with the place of each entry in its memory."""
    if library[:6] != b"\x7fELF\x02\x01":
        return
    kind = _JUMP_SLOT.get(platform.machine())
    (table,) = struct.unpack_from("<Q", library, 0x28)
    size, count = struct.unpack_from("<HH", library, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", library, table + size * n) for n in range(count)]
    for _, sort, _, _, start, length, link, _, _, _ in sections:
        if sort != 4 or not 0 < link < count:  # SHT_RELA
            continue
        symbols = sections[link]
        if not 0 < symbols[6] < count:
            continue
        names = sections[symbols[6]][4]
        for place in range(start, start + length, 24):
            offset, info = struct.unpack_from("<QQ", library, place)
            if info & 0xFFFFFFFF == kind:
                (name,) = struct.unpack_from("<I", library, symbols[4] + 24 * (info >> 32))
                end = library.index(b"\0", names + name)
                yield library[names + name : end].decode(errors="replace"), offset
