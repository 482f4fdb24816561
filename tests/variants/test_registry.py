"""Which variants there are, sound and broken ones of other packages included, and which are measured."""

from __future__ import annotations

import concurrent.futures
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.futures import PrefectConcurrentFuture
from prefect.states import Completed, Failed

from ptdq import variant_names
from ptdq.errors import RunFailed, UserError
from ptdq.host.clock import TimeLimit
from ptdq.inputs.calibration import CalibrationRequest
from ptdq.inputs.checkpoint import Checkpoint
from ptdq.variants import registry
from ptdq.variants.base import Settings
from ptdq.variants.choice import choose_variants, keep_fitting
from ptdq.variants.fp32 import Fp32
from ptdq.variants.preparation import Terms, collect_prepared, prepare_variant

PLUG_IN = """
from ptdq.variants.fp32 import Fp32


class Sound(Fp32):
    name = "sound"
    summary = "float32 once more"


class Nameless(Fp32):
    name = None


def function():
    pass
"""
ENTRY_POINTS = """
[ptdq.variants]
sound = plug_in:Sound
lacks-package = plug_in_that_imports:Sound
lacks-class = plug_in:Absent
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of Python's path in which a package with entry points is installed."""
    metadata = tmp_path / "plug_in-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: plug-in\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "plug_in.py").write_text(PLUG_IN)
    (tmp_path / "plug_in_that_imports.py").write_text("import a_package_that_is_not_installed\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    variant_names.places.cache_clear()
    yield tmp_path
    variant_names.places.cache_clear()
    for name in ("plug_in", "plug_in_that_imports"):
        sys.modules.pop(name, None)


def complaint(name: str) -> str:
    with pytest.raises(UserError) as caught:
        registry.get(name)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert f"'{name}'" in text
    return text


def test_a_variant_of_another_package(site: Path) -> None:
    assert registry.names()[-3:] == ["sound", "lacks-package", "lacks-class"]
    assert isinstance(registry.get("sound"), Fp32)
    assert "a_package_that_is_not_installed" in complaint("lacks-package")
    assert "Absent" in complaint("lacks-class")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        (":X", "cannot be loaded"),
        (".relative:X", "cannot be loaded"),
        ("plug_in:", "cannot be loaded"),
        ("nowhere.to.be.found:X", "nowhere"),
        ("os:path", "no subclass"),
        ("plug_in:function", "no subclass"),
        ("plug_in:Nameless", "no name"),
        ("ptdq.variants.base:Variant", "abstract"),
    ],
)
def test_what_is_no_variant_is_refused_in_a_line(name: str, part: str, site: Path) -> None:
    assert part in complaint(name)


def test_the_list_has_the_broken_ones_with_the_reason(site: Path) -> None:
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    listed = subprocess.run(
        [sys.executable, "-c", "from ptdq.cli.main import main; main()", "variants"],
        cwd=Path(__file__).resolve().parents[2],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for part in ("int8-best", "float32 once more", "lacks-class", "a_package_that_is_not_installed"):
        assert part in listed


# What `all` stands for.


def test_all_leaves_out_what_cannot_be_and_says_why(site: Path) -> None:
    chosen = choose_variants(["all"], [])
    assert chosen.names[0] == "fp32"
    assert chosen.names[-1] == "sound"
    assert chosen.optional == set(chosen.names)
    assert set(registry.names()) == {*chosen.names, *chosen.skipped}
    assert "ptdq sensitivity" in chosen.skipped["int8-dynamic-mixed"]
    assert "a_package_that_is_not_installed" in chosen.skipped["lacks-package"]


BFLOAT16 = {"bfloat16-compiled", "openvino-bfloat16", "openvino-int8-static-bf16", "int8-mixed-bf16"}


def test_all_leaves_out_what_this_cpu_would_emulate(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {name for name in BFLOAT16 if not registry.missing_packages(registry.get(name))}
    monkeypatch.setattr("ptdq.variants.choice.cpu_flags", lambda: ["avx2", "avx512_vnni"])
    chosen = choose_variants(["all"], [])
    assert not there & set(chosen.names)
    for name in there:
        assert "avx512_bf16" in chosen.skipped[name]
        assert "emulate" in chosen.skipped[name]
        assert choose_variants([name], []).names == [name], "who names it gets it"
    monkeypatch.setattr("ptdq.variants.choice.cpu_flags", lambda: ["avx2", "amx_bf16"])
    assert there <= set(choose_variants(["all"], []).names)


def test_what_is_named_besides_all_is_kept_at_its_place(site: Path) -> None:
    mine = "plug_in:Sound"
    assert choose_variants(["all", mine], []).names[-1] == mine
    first = choose_variants(["int8-dynamic", "all", mine], [])
    assert first.names[:3] == ["int8-dynamic", "fp32", "int8-dynamic-embeddings"]
    assert len(set(first.names)) == len(first.names)
    assert set(first.names) - first.optional == {"int8-dynamic", mine}


@pytest.mark.parametrize("name", ["int8-dynamic-mixed", "lacks-package"])
@pytest.mark.parametrize("besides", [[], ["all"]])
def test_what_is_named_must_be_possible(name: str, besides: list[str], site: Path) -> None:
    with pytest.raises(UserError, match=name):
        choose_variants([*besides, name], [])


@pytest.mark.parametrize(
    "name",
    [n for n in ("fp32-compiled", "int8-pt2e-static") if not registry.missing_packages(registry.get(n))],
)
def test_a_compiled_variant_has_bounds(name: str) -> None:
    assert choose_variants([name], [], batch_size=64).names == [name]
    with pytest.raises(UserError, match=f"{name} takes a batch_size of up to 64"):
        choose_variants([name], [], batch_size=65)
    assert "64" in choose_variants(["all"], [], batch_size=65).skipped[name]

    named, added = choose_variants([name], []), choose_variants(["all"], [])
    unbounded = checkpoint()
    assert keep_fitting(named, 512, unbounded) == named
    assert keep_fitting(named, 513, checkpoint(max_positions=1024)) == named
    with pytest.raises(UserError, match=f"{name} takes a max_length of up to 512"):
        keep_fitting(named, 513, unbounded)
    fewer = keep_fitting(added, 513, unbounded)
    assert "fp32" in fewer.names
    assert name not in fewer.names
    assert "512" in fewer.skipped[name]


def checkpoint(**facts: Any) -> Checkpoint:
    values = {"max_positions": None, "parameters": 1, "class_names": ["a", "b"], "random_weights": False}
    return Checkpoint("m", None, "digest", Path("m"), "Model", **{**values, **facts})


@pytest.mark.parametrize(
    ("variant", "family", "instead"),
    [
        (variant, family, instead)
        for variants, family, instead in [
            (
                ("onnx-fp32", "openvino-int8-static", "int8-best", "int8-pt2e-static"),
                "longformer",
                "int8-dynamic",
            ),
            (("onnx-int8-dynamic", "openvino-fp32", "fp32-compiled"), "funnel", "int8-dynamic"),
            (("onnx-int8-dynamic", "openvino-fp32"), "big_bird, block sparse", "int8-dynamic"),
            (("openvino-fp32", "int8-pt2e-dynamic"), "t5", "onnx-int8-dynamic"),
            (("fp32-compiled",), "bart", "onnx-int8-dynamic"),
        ]
        for variant in variants
        if not registry.missing_packages(registry.get(variant))
    ],
)
def test_a_family_that_a_route_cannot_take_is_refused_before_any_work(
    variant: str, family: str, instead: str, tmp_path: Path
) -> None:
    model = checkpoint(family=family, max_positions=64)
    with pytest.raises(
        UserError, match=f"^variant {variant} cannot take .*{family}: .*use {instead}"
    ) as error:
        keep_fitting(choose_variants(["fp32", variant], []), 16, model)
    assert "\n" not in str(error.value)
    chosen = keep_fitting(choose_variants(["all"], []), 16, model)
    assert "int8-dynamic" in chosen.names
    assert variant not in chosen.names
    assert chosen.skipped[variant] in str(error.value)
    # And where nobody chose before: in an evaluation, a search.
    log = tmp_path / "log"
    nothing = CalibrationRequest(None, "", "none", 16)
    with pytest.raises(UserError, match="cannot take"):
        prepare_variant(variant, model, Settings(""), nothing, log, Terms(1))
    assert not log.exists()


def test_what_calibrates_needs_documents() -> None:
    calibrate = {name for name in choose_variants(["all"], []).names if registry.get(name).calibrates}
    without = choose_variants(["fp32", "all"], [], calibrated=False)
    assert calibrate.isdisjoint(without.names)
    for name in calibrate:
        assert "--calibration-data" in without.skipped[name]
        with pytest.raises(UserError, match=f"{name} calibrates: give --calibration-data"):
            choose_variants(["fp32", name], [], calibrated=False)


def test_an_optional_variant_that_cannot_be_prepared_is_left_out() -> None:
    wrong, died = UserError("this model cannot be exported"), RunFailed("it ran out of memory")
    futures = {"fp32": ended("artifact"), "onnx-fp32": ended(wrong), "openvino-fp32": ended(died)}
    prepared, skipped = collect_prepared(futures, {"onnx-fp32", "openvino-fp32"}, TimeLimit(None))
    made: dict[str, object] = {**prepared}
    assert made == {"fp32": "artifact"}
    assert skipped == {"onnx-fp32": str(wrong), "openvino-fp32": str(died)}


@pytest.mark.parametrize("optional", [{"fp32"}, {"onnx-fp32"}])
def test_a_named_variant_and_the_baseline_must_be_prepared(optional: set[str]) -> None:
    with pytest.raises(UserError, match="exported"):
        collect_prepared(
            {"onnx-fp32": ended(UserError("this model cannot be exported")), "fp32": ended("artifact")},
            optional,
            TimeLimit(None),
        )


def ended(outcome: Any) -> PrefectConcurrentFuture[Any]:
    """The future of a task that has ended with a value or an error."""
    failed = isinstance(outcome, Exception)
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()
    future.set_result(Failed(data=outcome) if failed else Completed(data=outcome))
    return PrefectConcurrentFuture(uuid.uuid4(), future)
