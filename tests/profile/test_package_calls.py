"""The calls of a library are timed where they are bound, and give what they gave."""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ptdq.profile.package_calls import bound_functions, package_calls

# Integers and numbers in registers and on the stack, as kernels and operators take them.
SOURCE = """
void cpp_fused_scale_0(long *values, long count, double scale) {
    for (long i = 0; i < count; i++) values[i] = values[i] * scale;
}
int aoti_torch_cpu_sum(
    double a, long b, float c, long d, long e, long f, long g, long h, long i, long *out
) {
    *out = a * 2 + b + c * 4 + d + e + f + g + h + 100 * i;
    return 7;
}
int other(void) { return 1; }
int run(long *values, long count, long *out) {
    cpp_fused_scale_0(values, count, 3.0);
    return other() + aoti_torch_cpu_sum(1.5, 2, 2.25f, 3, 4, 5, 6, 7, 8, out);
}
"""
SYSTEM = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")


@pytest.mark.skipif(not SYSTEM or shutil.which("cc") is None, reason="needs Linux and a C compiler")
def test_calls_are_timed_and_unchanged(tmp_path: Path) -> None:
    (tmp_path / "package.c").write_text(SOURCE)
    library = tmp_path / "aotinductor" / "package.so"
    library.parent.mkdir()
    command = ["cc", "-shared", "-fPIC", "-O1", "-fno-inline", "-o", str(library), "package.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    run = ctypes.CDLL(str(library)).run

    def call() -> tuple[int, list[int], int]:
        values, out = (ctypes.c_long * 3)(1, 2, 3), ctypes.c_long()
        return run(values, ctypes.c_long(3), ctypes.byref(out)), list(values), out.value

    expected = (8, [3, 6, 9], 3 + 2 + 9 + 25 + 800)
    assert call() == expected
    with package_calls() as calls:
        assert call() == expected
    assert calls.watched
    assert [name for name, _ in calls.made] == ["cpp_fused_scale_0", "aoti_torch_cpu_sum"]
    assert all(0 <= seconds < 1 for _, seconds in calls.made)
    assert calls.overhead > 0
    assert call() == expected
    assert len(calls.made) == 2


def test_without_a_package_nothing_is_watched() -> None:
    assert list(bound_functions(b"no library at all")) == []


@pytest.mark.skipif(not SYSTEM or shutil.which("cc") is None, reason="needs Linux and a C compiler")
def test_a_library_whose_table_is_closed_is_left_alone(tmp_path: Path) -> None:
    """Linked with ``-z now`` its table is read-only once loaded: a write would end the process."""
    (tmp_path / "package.c").write_text(SOURCE)
    library = tmp_path / "aotinductor" / "package.so"
    library.parent.mkdir()
    closed = ["-Wl,-z,relro", "-Wl,-z,now"]
    command = ["cc", "-shared", "-fPIC", "-O1", "-fno-inline", *closed, "-o", str(library), "package.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    program = (
        "import ctypes, sys\n"
        "from ptdq.profile.package_calls import package_calls\n"
        "run = ctypes.CDLL(sys.argv[1]).run\n"
        "values, out = (ctypes.c_long * 3)(1, 2, 3), ctypes.c_long()\n"
        "with package_calls() as calls:\n"
        "    print(calls.watched, run(values, ctypes.c_long(3), ctypes.byref(out)))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(library)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "False 8\n", "")
