"""What is said of a design before it measures, against what then comes out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ptdq.analysis.plan import duration, make_plan, plan_time
from ptdq.analysis.planning import plan_alone
from ptdq.analysis.timing import analyse
from ptdq.analysis.width import widths
from ptdq.measure.design import design_frame, make_design
from ptdq.measure.probe import Probe
from ptdq.measure.stage import Stage
from ptdq.parameters import Parameters, make_parameters
from ptdq.store.layout import RunFiles
from ptdq.store.tables import make_table, write_table
from tests.support.worlds import CALM, simulate

PROBE = Probe(2.0, np.array([10, 20]), np.array([0.1, 0.2]), 0.02, 4, 0.9)
SPREAD = replace(CALM, cell_sd=0.02, noise=0.01)


def asked(**values: object) -> Parameters:
    return make_parameters({"model": "m", "data": "d.csv", "max_length": [128], **values})


def test_seconds_of_documents_lie_between_those_that_were_timed() -> None:
    assert PROBE.seconds_of([5, 15, 20, 90]).tolist() == pytest.approx([0.1, 0.15, 0.2, 0.2])


def test_the_width_is_what_comes_out() -> None:
    """In a world of processes that differ by as much as was probed, where documents do not matter."""
    rounds, runs = 6, 60
    expected = plan_time(asked(), 2, rounds, PROBE, 2)
    assert expected is not None
    shares = []
    for number in range(runs):
        rng = np.random.default_rng(number)
        design = design_frame(make_design(["a", "b"], [128], rounds, 2, number))
        times = simulate(design, SPREAD, rng, {"a": 1.0, "b": 2.0}, documents=40)
        (found,) = widths(times, "a")
        shares.append(found.share)
    assert np.sqrt(np.mean(np.square(shares))) == pytest.approx(expected.half_width, rel=0.15)


def test_the_smallest_difference_is_found_in_four_runs_of_five() -> None:
    rounds, runs = 6, 100
    expected = plan_time(asked(), 2, rounds, PROBE, 2)
    assert expected is not None
    found = 0
    for number in range(runs):
        rng = np.random.default_rng([number, 1])
        design = design_frame(make_design(["a", "b"], [128], rounds, 2, number))
        speeds = {"a": 1.0, "b": 1 + expected.smallest}
        times = simulate(design, SPREAD, rng, speeds, documents=40)
        found += analyse(times, "a").comparisons["total_verdict"].iloc[0] == "faster"
    assert 0.68 <= found / runs <= 0.92  # three standard errors


def test_rounds_for_a_width_reach_it() -> None:
    found = plan_time(asked(target_width="1%"), 2, 4, PROBE, 2)
    assert found is not None
    assert found.rounds is not None
    at_last = plan_time(asked(), 2, found.rounds, PROBE, 2)
    before = plan_time(asked(), 2, found.rounds - 2, PROBE, 2)
    assert at_last is not None
    assert before is not None
    assert at_last.half_width <= 0.0102 < before.half_width
    assert plan_time(asked(), 2, 4, replace(PROBE, cell_sd=float("nan")), 2) is None


class Words:
    """A tokenizer: a token a character."""

    def __call__(self, texts: list[str], max_length: int, pairs: list[str] | None = None) -> Words:
        self.lengths = np.minimum([len(text) for text in texts], max_length)
        return self

    def tokenizer(self) -> Words:
        return self


def stage(tmp_path: Path, documents: int) -> Stage:
    """Of texts of 10 and of 20 characters in equal parts, and two classes."""
    files = RunFiles(tmp_path / "run")
    rows = [
        {"doc_id": str(i), "text": f"{i:0{10 + 10 * (i % 2)}d}", "label": i // 2 % 2}
        for i in range(documents)
    ]
    write_table(files.table("documents"), make_table("documents", rows))
    return Stage(
        files=files,
        artifacts={"fp32": Words()},  # type: ignore[dict-item]
        documents=files.table("documents"),
        count=documents,
        timing_documents=files.table("documents"),
        timing_count=documents,
        control_documents=0,
        batch_size=1,
        warmup=0,
        timeout=60,
    )


def test_the_minutes_are_those_of_starts_documents_and_first_calls(tmp_path: Path) -> None:
    design = make_design(["fp32", "int8"], [128], 4, [0, 1], 0)
    # On each core 2 rounds of 2 cells: a start, 100 documents, and a call of each of two lengths.
    cell = 2.0 + 100 * 0.15 + (0.1 + 0.2)
    assert duration(asked(), design, stage(tmp_path, 100), PROBE) == pytest.approx(4 * cell)
    shorter = asked(max_length=[10])
    design = make_design(["fp32", "int8"], [10], 4, [0, 1], 0)
    seconds = duration(shorter, design, stage(tmp_path, 100), PROBE)
    assert seconds == pytest.approx(4 * (2.0 + 100 * 0.1 + 0.1))


@pytest.mark.parametrize(("documents", "decides"), [(200, False), (600, True)])
@pytest.mark.parametrize("probed", [None, PROBE])
def test_what_cannot_be_decided_is_a_warning(
    tmp_path: Path, documents: int, decides: bool, probed: Probe | None
) -> None:
    variants = ["fp32", "int8"]
    design = make_design(variants, [128], 4, [0, 1], 0)
    plan = make_plan(asked(), variants, design, stage(tmp_path, documents), probed)
    (quality,) = (line for line in (*plan.lines, *plan.warnings) if line.startswith("quality: "))
    assert (quality in plan.lines) == decides
    said = "can decide the margin 0.99" if decides else "200 documents cannot show that 0.99 of"
    assert said in quality
    assert all(("±" in line) == (probed is not None) for line in plan.lines if line.startswith("time"))


def test_too_few_rounds_are_a_warning(tmp_path: Path) -> None:
    design = make_design(["fp32", "int8"], [128], 3, [0], 0)
    plan = make_plan(asked(random_weights=True), ["fp32", "int8"], design, stage(tmp_path, 20), None)
    assert plan.warnings == (
        "time: an interval of a speed-up takes 4 rounds, and there are 3 (--repeats)",
    )
    grows = asked(random_weights=True, target_width=0.05)
    assert not make_plan(grows, ["fp32", "int8"], design, stage(tmp_path, 20), None).warnings


def test_a_plan_of_a_real_model_leaves_nothing_behind(
    tiny_model: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    values = {
        "model": str(tiny_model),
        "data": str(tiny_data),
        "max_length": [16],
        "timing_documents": 30,
    }
    plan = plan_alone(make_parameters(values), lambda line: None)
    duration_line, time_line = plan.lines
    assert duration_line.startswith("about ")
    assert "2 variants × 1 length × 30 documents, and quality once on all 40" in duration_line
    assert time_line.startswith("time: after 4 rounds an interval is about ±")
    (warning,) = plan.warnings
    assert warning.startswith("quality: 40 documents cannot show that 0.99 of ")
    assert list(tmp_path.iterdir()) == []


def test_expected_widths_are_of_the_whole_interval() -> None:
    found = plan_time(asked(), 14, 4, PROBE, 2)
    assert found is not None
    # With more degrees of freedom narrower, but never narrower than the normal quantile allows.
    normal = np.expm1(1.96 * PROBE.cell_sd * np.sqrt(2 / 4))
    assert normal < found.half_width < half_width_of_two()


def half_width_of_two() -> float:
    found = plan_time(asked(), 2, 4, PROBE, 2)
    assert found is not None
    return found.half_width
