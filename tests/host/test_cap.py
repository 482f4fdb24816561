"""A cap on instructions: what children see of it, and that none can be set above what the CPU has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ptdq.errors import UserError
from ptdq.host import machine
from ptdq.host.process import child_environment
from ptdq.variants.choice import choose_variants

FLAGS = ["avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"]
has_avx2 = pytest.mark.skipif("avx2" not in machine.cpu_flags(), reason="no x86 with AVX2")


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU with AMX, as its flags are read."""
    real = Path.read_text

    def read(path: Path, *others: Any, **named: Any) -> str:
        if path == Path("/proc/cpuinfo"):
            return f"processor : 0\nflags : {' '.join(FLAGS)}\n"
        return real(path, *others, **named)

    # That file alone: the metadata of installed packages is read by the same function.
    monkeypatch.setattr(Path, "read_text", read)
    monkeypatch.delenv(machine.ISA_CAP, raising=False)


@pytest.mark.usefixtures("large")
def test_a_capped_cpu_has_less_and_only_in_the_block() -> None:
    with machine.capped("avx2"):
        assert machine.cpu_flags() == ["avx2", "fma"]
        assert machine.hidden_flags() == [flag for flag in FLAGS if flag not in ("avx2", "fma")]
        assert not machine.adds_int8_exactly()
    with machine.capped("avx512_vnni"):
        assert "avx512_vnni" in machine.cpu_flags()
        assert machine.hidden_flags() == ["avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"]
    with machine.capped("amx_int8"):
        assert machine.hidden_flags() == []
    assert set(machine.cpu_flags()) == set(FLAGS)


@pytest.mark.usefixtures("large")
def test_what_cannot_be_capped_is_left_out_and_refused_by_name() -> None:
    with machine.capped("avx2"):
        chosen = choose_variants(["fp32", "all"], [])
        with pytest.raises(UserError, match=r"onnx-fp32 cannot be capped.*amx_int8"):
            choose_variants(["fp32", "onnx-fp32"], [])
    onnx = {name for name in chosen.skipped if name.startswith("onnx-")}
    assert len(onnx) == 3
    assert all("cannot be capped" in chosen.skipped[name] for name in onnx)
    assert "onnx-fp32" in choose_variants(["fp32", "all"], []).names


def test_a_cap_above_the_cpu_is_refused_with_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cpu_flags", lambda capped=True: ["avx", "avx2", "fma"])
    with (
        pytest.raises(UserError, match=r"isa amx_int8: .* this CPU has avx, avx2$"),
        machine.capped("amx_int8"),
    ):
        pass


@has_avx2
def test_a_child_sees_the_cap_and_this_process_does_not() -> None:
    before = dict(os.environ)
    with machine.capped("avx2"):
        inside = child_environment(1)
    assert os.environ == before
    assert machine.ISA_CAP not in child_environment(1)
    assert inside[machine.ISA_CAP] == "AVX2"
    code = (
        "import torch, ptdq.host.machine as machine\n"
        "print(torch.backends.cpu.get_cpu_capability(), machine.cap_of_process())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=inside, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["AVX2", "avx2"]


@has_avx2
def test_the_children_of_a_capped_child_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    with machine.capped("avx2"):
        inside = child_environment(1)
    for name, value in inside.items():
        monkeypatch.setenv(name, value)
    assert machine.cap() == "avx2"
    # What begins with MKL_ is the user's own, and dropped, unless it is the cap.
    assert child_environment(1)["MKL_ENABLE_INSTRUCTIONS"] == "AVX2"


@has_avx2
def test_torch_s_own_kernels_obey_their_variable() -> None:
    """A lower one than any cap, so that a CPU with AVX2 alone can tell."""
    code = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    environment = child_environment(1) | {"ATEN_CPU_CAPABILITY": "default"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "DEFAULT"
