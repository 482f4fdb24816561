"""``int8-best``: the declared space, the race, and one search for real."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from transformers import AutoModelForSequenceClassification

from ptdq.host import machine
from ptdq.inputs.calibration import CalibrationRequest, read_calibration
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.runtimes.padding import RULE
from ptdq.store.disk import read_json
from ptdq.variants import registry
from ptdq.variants.artifact import cache_key
from ptdq.variants.base import Settings
from ptdq.variants.best import LOADERS, Int8Best
from ptdq.variants.engines import choose_engine
from ptdq.variants.padding import branch_lengths
from ptdq.variants.preparation import Terms, in_turns, prepare_variant
from ptdq.variants.tuning import time_child
from ptdq.variants.tuning.race import TURNS, fastest, race
from ptdq.variants.tuning.samples import Samples
from ptdq.variants.tuning.search import CHANGES, Search, keepers
from ptdq.variants.tuning.space import FIRST, PACKAGES, remedies, space
from tests.conftest import CLASSES

ALL = [name for names in PACKAGES.values() for name in names]
AMX = ["avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"]
CALIBRATION = CalibrationRequest(None, "random 24", "random text", 24)
needs_all = pytest.mark.skipif(
    bool(registry.missing_packages(Int8Best())), reason=registry.install_hint(Int8Best())
)

needs_openvino = pytest.mark.skipif(
    bool(registry.missing_packages(registry.get("openvino-int8-static"))),
    reason=registry.install_hint(registry.get("openvino-int8-static")),
)


def test_bfloat16_is_tried_where_the_cpu_multiplies_it_and_first() -> None:
    with_amx, without = space(FIRST, AMX, ALL), space(FIRST, ["avx2", "avx512_vnni"], ALL)
    assert with_amx[0].rest == "bfloat16"
    assert {one.rest for one in without} == {"float32"}
    assert set(without) < set(with_amx)
    assert {one.variant for one in with_amx} == set(LOADERS)


def test_engines_that_are_not_installed_are_not_tried() -> None:
    alone = space(FIRST, AMX, PACKAGES["OpenVINO"])
    assert {one.engine for one in alone} == {"OpenVINO"}
    assert alone


def test_what_mends_answers_stays_in_all_that_is_tried() -> None:
    (mixed, smooth, both) = remedies(FIRST, mixed=True)
    assert (mixed.smoothing, smooth.smoothing, both.smoothing) == (False, True, True)
    assert remedies(FIRST, mixed=False) == [smooth]
    tried = [one for one in space(both, [], ALL) if one.engine == "OpenVINO"]
    assert all(one.smoothing and one.mixed for one in tried)


def test_one_quantization_serves_both_formats_of_the_rest() -> None:
    graphs = [one.graph for one in space(FIRST, AMX, PACKAGES["OpenVINO"])]
    assert len(set(graphs)) == len(graphs) / 2
    assert all(one == other for one, other in zip(graphs[::2], graphs[1::2], strict=True))


def test_the_fastest_wins_and_the_slow_cost_little() -> None:
    speeds = {f"c{n}": 10.0 + n for n in range(8)}
    calls: dict[str, int] = dict.fromkeys(speeds, 0)

    def time_of(name: str, documents: int) -> float:
        calls[name] += documents
        return speeds[name]

    times = race(list(reversed(speeds)), time_of, lambda: True)
    assert fastest(times) == "c0"
    assert calls["c0"] == 8 + 16 + TURNS * 32
    assert calls["c7"] == 8
    assert sum(calls.values()) < len(speeds) * (8 + 16 + TURNS * 32) / 2


def test_a_document_or_two_do_not_leave_a_candidate_out() -> None:
    # Of 128 documents one is 0.8 %.
    assert keepers({"a": 0.008, "b": 0.0, "c": 0.016}) == ["a", "b"]
    assert keepers({"a": 0.016, "b": 0.008, "c": 0.023}) == ["b", "a"]
    assert keepers({"a": 0.039, "b": 0.031, "c": 0.047}) == ["b", "a"]
    assert keepers({"a": 0.011, "b": 0.5}) == ["a"]


def test_what_cannot_be_timed_is_out() -> None:
    times = race(
        ["fails", "slow", "fast"], lambda name, n: {"slow": 2.0, "fast": 1.0}.get(name), lambda: True
    )
    assert fastest(times) == "fast"
    assert "fails" not in times
    assert fastest(race(["fails"], lambda name, n: None, lambda: True)) is None


def test_a_burst_of_half_a_second_does_not_decide_a_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    # A clock of its own, in ns, that each call moves on.
    now = [0]
    clock = SimpleNamespace(monotonic=lambda: now[0] / 1e9, perf_counter_ns=lambda: now[0])
    monkeypatch.setattr("ptdq.variants.tuning.time_child.time", clock)

    def predict(inputs: object) -> np.ndarray[Any, np.dtype[np.float32]]:
        now[0] += 15_000_000 if now[0] < 500_000_000 else 5_000_000
        return np.zeros((1, 2), np.float32)

    assert time_child.means_of_documents({"one": predict}, [{}] * 8) == {"one": pytest.approx(5.0)}
    assert now[0] >= 1e9 * time_child.SECONDS


def test_two_that_are_timed_in_turns_are_compared_rightly_while_the_machine_gets_slower(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0]
    clock = SimpleNamespace(monotonic=lambda: now[0] / 1e9, perf_counter_ns=lambda: now[0])
    monkeypatch.setattr("ptdq.variants.tuning.time_child.time", clock)

    def model(ms: float) -> Any:
        def predict(inputs: object) -> np.ndarray[Any, np.dtype[np.float32]]:
            now[0] += int(1e6 * ms * (1 + now[0] / 2e9))  # three times as slow after four seconds
            return np.zeros((1, 2), np.float32)

        return predict

    found = time_child.means_of_documents({"open": model(5.0), "fixed": model(4.8)}, [{}] * 8)
    assert found["fixed"] / found["open"] == pytest.approx(0.96, abs=0.01)


def test_a_disturbance_does_not_decide_the_last_rung() -> None:
    random = np.random.default_rng(0)
    wins = 0
    for _ in range(200):
        # One call in four is disturbed, and takes up to half as long again.
        def time_of(name: str, documents: int) -> float:
            alone = {"fast": 1.0, "slow": 1.1}[name]
            return float(alone * (1 + 0.5 * random.random() * (random.random() < 0.25)))

        wins += fastest(race(["slow", "fast"], time_of, lambda: True)) == "fast"
    assert wins >= 190


def test_a_rung_that_was_broken_off_decides_nothing() -> None:
    # In the second rung the time is up after one, which by chance looks slow there.
    given = iter([1.0, 2.0, 9.0])
    left = iter([True] * 4 + [False] * 9)
    times = race(["a", "b"], lambda name, n: next(given), lambda: next(left))
    assert times == {"a": [1.0], "b": [2.0]}
    assert fastest(times) == "a"


def test_documents_are_taken_over_their_lengths(tmp_path: Path) -> None:
    inputs = [{"input_ids": np.zeros((1, n), np.int64)} for n in (30, 17, 16, 2, 31, 40)]
    samples = Samples(inputs, np.zeros((6, 2), np.float32))
    assert [one["input_ids"].shape[1] for one in samples.over_lengths(3)] == [2, 17, 40]
    assert samples.lengths() == [30, 17, 16, 2, 31, 40]
    samples.save(tmp_path / "samples.npz")
    again = Samples.load(tmp_path / "samples.npz")
    assert [one["input_ids"].shape for one in again.inputs] == [one["input_ids"].shape for one in inputs]


def test_nothing_is_prepared_beside_what_measures() -> None:
    assert in_turns(["int8-best", "fp32", "int8-dynamic"]) == [["fp32", "int8-dynamic"], ["int8-best"]]
    assert in_turns(["fp32"]) == [["fp32"]]


def test_the_choice_is_of_this_machine_and_not_of_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    best, other = Int8Best(), registry.get("openvino-int8-static")

    def keys(minutes: float) -> tuple[str, str]:
        settings = Settings("x86", tune_minutes=minutes)
        return cache_key("m", best, settings, "c"), cache_key("m", other, Settings("x86"), "c")

    assert keys(5) == keys(30)
    assert keys(5)[0] != keys(0)[0]
    before = keys(5)
    monkeypatch.setattr(machine, "cpu_model", lambda: "another CPU")
    assert keys(5)[0] != before[0]
    assert keys(5)[1] == before[1]


@needs_openvino
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of OpenVINO's converter; elsewhere they are in a child's log
def test_fixed_shapes_are_tried_with_the_fastest(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a space of one candidate; the long test below has all of it."""
    monkeypatch.setattr(Search, "_space", lambda self, base: [])
    source = open_checkpoint(str(tiny_model), labels=CLASSES).source
    calibration = read_calibration(source, CALIBRATION)
    settings = Settings(engine=choose_engine(None), tune_minutes=4)
    search = Search(source, settings, calibration, tmp_path)
    chosen = search.run()
    found = search.report(chosen)
    tried = found["tried"][-1]
    lengths = [one["input_ids"].shape[1] for one in calibration.inputs]
    rule = read_json(Path(chosen.directory) / RULE)
    assert tuple(tried["shapes"]) == branch_lengths(lengths, rule["longest"])
    # Beside the same graph without, timed in turns with it; whether it is chosen is the machine's.
    assert tried["ms"]
    assert sum(bool(one["ms"]) for one in found["tried"]) >= 2
    options = read_json(Path(chosen.directory) / "precision.json")
    assert options["shapes"] == list(chosen.candidate.shapes)
    assert (tried["out"] is None) == bool(options["shapes"])

    # Where they are faster, the answers decide.
    (whole,) = [one for one in search.trials.values() if one.candidate == FIRST]
    monkeypatch.setattr(
        Search, "_times", lambda self, names, documents: dict(zip(names, (2.0, 1.0), strict=True))
    )
    assert search._with_branches(whole).candidate.shapes
    monkeypatch.setattr(Search, "_answered", lambda self, built: -search._samples.expected)
    assert search._with_branches(whole) is whole
    assert list(search.trials.values())[-1].out == CHANGES


@needs_all
@pytest.mark.long
@pytest.mark.slow
def test_a_search_tries_times_and_chooses_and_is_found_again(tiny_model: Path, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(str(sure(tiny_model, tmp_path / "model")), labels=CLASSES)
    settings = Settings(engine=choose_engine(None), tune_minutes=4)
    log = tmp_path / "prepare.log"
    made = prepare_variant("int8-best", checkpoint, settings, CALIBRATION, log, Terms(600))
    found = made.artifact.details["tuning"]
    tried = found["tried"]
    assert [one["candidate"] for one in tried if one["out"] is None] == [found["chosen"]]
    assert len(tried) >= len(space(FIRST, machine.cpu_flags(), ALL))
    timed = [one for one in tried if one["ms"]]
    assert len(timed) >= 2, tried
    # Last, with the fastest, fixed shapes.
    if tried[-1]["engine"] == "OpenVINO":
        assert tried[-1]["shapes"]
        assert tried[-1]["ms"]
    (chosen,) = (one for one in tried if one["out"] is None)
    assert chosen["ms"]
    assert chosen["changed"] <= max(
        0.01, min(one["changed"] for one in tried if one["changed"] is not None)
    )
    assert found["seconds"] < 60 * settings.tune_minutes + 60

    # It is what a worker loads, by the loader of the engine that was chosen.
    loader = Int8Best().of(made.artifact.directory)
    assert loader.name == chosen["variant"]
    longer = replace(settings, tune_minutes=30)
    again = prepare_variant("int8-best", checkpoint, longer, CALIBRATION, log, Terms(600))
    assert again.cached
    assert again.artifact.digest == made.artifact.digest


@needs_all
@pytest.mark.long
@pytest.mark.slow
def test_without_time_the_first_is_taken(tiny_model: Path, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(str(tiny_model), labels=CLASSES)
    settings = Settings(engine=choose_engine(None), tune_minutes=0.001)
    began = time.monotonic()
    made = prepare_variant(
        "int8-best", checkpoint, settings, CALIBRATION, tmp_path / "log", Terms(600, use_cache=False)
    )
    found = made.artifact.details["tuning"]
    assert found["seconds"] <= time.monotonic() - began
    assert not any(one["ms"] for one in found["tried"])
    (chosen,) = (one for one in found["tried"] if one["out"] is None)
    assert chosen["engine"] == "OpenVINO"


def sure(model: Path, directory: Path) -> Path:
    """The model with one answer to all, which no rounding changes: all that is made may race then."""
    shutil.copytree(model, directory)
    module = AutoModelForSequenceClassification.from_pretrained(model)
    module.classifier.bias.data[0] += 100.0
    module.save_pretrained(directory)
    return directory
