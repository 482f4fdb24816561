"""Wrong answers that were given once, each through the functions that a run gives its answer by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ptdq
from ptdq.analysis.first_calls import first_calls
from ptdq.analysis.gates import Tables
from ptdq.analysis.timing import Analysis
from ptdq.analysis.verdict import Verdict, decide
from ptdq.store.cell_rows import CellRows
from ptdq.store.rows import PairQuality
from ptdq.store.schema import names
from ptdq.store.tables import make_table, write_table
from tests.analysis.test_verdict import CALM as CELLS
from tests.analysis.test_verdict import cell
from tests.support.predicted import CLAIM, LENGTH, VARIANTS, documents_of, quality_of
from tests.support.worlds import CALM, World, simulate

OLD, NEW = VARIANTS


def timed(
    speed: float, rounds: int = 4, world: World = CALM, documents: int = 120, seed: int = 0
) -> pd.DataFrame:
    """Times of a run of two variants; with a number of tokens that follows from the document's time."""
    design = ptdq.make_design(VARIANTS, [LENGTH], rounds, 2, seed)
    times = simulate(design, world, np.random.default_rng(seed), {OLD: 1.0, NEW: speed}, documents)
    place = times[times["variant"] == OLD].groupby("doc_id")["forward_ns"].median().rank()
    return times.assign(tokens=times["doc_id"].map(place).astype(int))


def slowed(times: pd.DataFrame, longest: float, factor: float) -> pd.DataFrame:
    """The new variant takes ``factor`` times as long for the share of longest (or, below 0, shortest)."""
    share = times["tokens"] / times["tokens"].max()
    which = share > 1 - longest if longest > 0 else share <= -longest
    hit = which & (times["variant"] == NEW)
    return times.assign(forward_ns=times["forward_ns"] * np.where(hit, factor, 1.0))


def answer(found: Analysis, quality: PairQuality) -> Verdict:
    """The verdict of a run with these times and this quality, on a calm machine."""
    row: dict[str, Any] = dict.fromkeys(names(PairQuality))
    times = found.comparisons.iloc[0].to_dict() | {"confounded": None}
    buckets: Any = found.buckets.rename(columns={"verdict": "latency_verdict"}).to_dict("records")
    rows: Any = [row | times | dict(quality)]
    cells = [*CELLS, *(cell(NEW, repeat) for repeat in range(4))]
    return decide(CLAIM, Tables(rows, buckets=buckets, cells=cells), [])


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> PairQuality:
    """Of a thousand documents a few predictions change."""
    labels = np.arange(1000) % 4
    old = np.where(np.arange(1000) % 20 == 0, (labels + 1) % 4, labels)
    new = np.where(np.arange(1000) % 500 == 7, (labels + 1) % 4, old)
    return quality_of(tmp_path_factory.mktemp("sound"), documents_of(labels), old, new)


def test_what_is_faster_and_as_good_is_shipped(sound: PairQuality) -> None:
    """The others differ from this in one thing each."""
    assert answer(ptdq.analyse(timed(2.0), OLD), sound).decision == "ship"


def test_a_tail_that_is_slower_is_not_shipped(sound: PairQuality) -> None:
    """p95 of 0.7x under a median and a mean that are faster: "ship" once."""
    found = ptdq.analyse(slowed(timed(2.0, documents=400), 0.08, 2.8), OLD)
    row = found.comparisons.iloc[0]
    assert (row["total_verdict"], row["p95_verdict"]) == ("faster", "slower")
    assert row["speedup_p95"] < 0.8
    said = answer(found, sound)
    assert said.decision == "don't ship"
    assert any("its p95 is slower" in reason for reason in said.reasons)


def test_a_bucket_of_lengths_that_is_slower_is_not_shipped(sound: PairQuality) -> None:
    found = ptdq.analyse(slowed(timed(2.0), -0.25, 2.6), OLD)
    row = found.comparisons.iloc[0]
    assert (row["total_verdict"], row["p95_verdict"]) == ("faster", "faster")
    said = answer(found, sound)
    assert said.decision == "don't ship"
    assert any("it is slower for documents of 1 to" in reason for reason in said.reasons)


def test_a_rare_class_that_is_lost_is_not_shipped(tmp_path: Path) -> None:
    """10,000 documents, a class of 50 whose recall falls from 0.90 to 0: "ship" once."""
    labels = np.where(np.arange(10_000) % 200 == 0, 2, np.arange(10_000) % 2)
    rare = np.flatnonzero(labels == 2)
    old = labels.copy()
    old[rare[:5]] = 0
    new = old.copy()
    new[rare] = 0
    quality = quality_of(tmp_path, documents_of(labels), old, new)
    said = answer(ptdq.analyse(timed(2.0), OLD), quality)
    assert said.decision == "don't ship"
    assert any("it loses recall of class" in reason for reason in said.reasons)
    assert (quality["f1_ratio"] or 0) > 0.99
    assert (quality["f1_macro_ratio"] or 1) < 0.8


def test_a_baseline_at_chance_level_is_not_shipped_against(tmp_path: Path) -> None:
    """4,000 random predictions were "non-inferior" to themselves."""
    rng = np.random.default_rng(3)
    labels, guesses = rng.integers(4, size=(2, 4000))
    quality = quality_of(tmp_path, documents_of(labels), guesses, guesses)
    said = answer(ptdq.analyse(timed(2.0), OLD), quality)
    assert said.decision == "can't tell"
    assert any("labels and model do not fit" in reason for reason in said.reasons)


def test_a_mood_that_all_variants_share_hides_no_difference() -> None:
    """A true 1.10x under moods of 15 % a round: "faster" in 67 % of runs of 8 rounds once."""
    found = []
    for seed in range(20):
        times = timed(1.1, 8, replace(CALM, cell_sd=0.01), seed=seed)
        mood = np.exp(np.random.default_rng([seed, 1]).normal(0, 0.15, 8))
        times["forward_ns"] *= mood[times["repeat"]]
        found.append(ptdq.analyse(times, OLD).comparisons.iloc[0]["latency_verdict"])
    assert found.count("faster") >= 19
    assert "slower" not in found


def test_the_same_is_an_answer_of_its_own() -> None:
    """Within the smallest effect of interest, which is 2 % unless another is named."""
    calm = replace(CALM, cell_sd=0.002, document_sd=0.2)
    alike, nearly = (ptdq.analyse(timed(speed, 8, calm), OLD) for speed in (1.0, 1.03))
    assert alike.comparisons.iloc[0]["total_verdict"] == "the same"
    assert nearly.comparisons.iloc[0]["total_verdict"] == "faster"
    wide = ptdq.analyse(timed(1.03, 8, calm), OLD, min_effect=0.05)
    assert wide.comparisons.iloc[0]["total_verdict"] == "the same"


def test_first_calls_of_a_length_are_told_apart_from_later_ones(tmp_path: Path) -> None:
    """They turned a ranking over: of 152 lengths each made a kernel, which a server pays once."""
    rows = []
    for repeat in (0, 1):
        for place, (tokens, cost) in enumerate([(5, 30.0), (9, 50.0)]):
            key = {
                "variant": NEW, "max_length": LENGTH, "repeat": repeat, "core": 0, "order": repeat,
                "doc_id": f"d{place}", "tokens": tokens,
            }  # fmt: skip
            first = {"position": place, "batch": place, "forward_ns": int((10 + cost) * 1e6)}
            later = {"position": place + 2, "batch": place + 2, "forward_ns": int(10e6)}
            rows.append(key | first | {"warmup": True, "first_of_shape": True})
            rows.append(key | later | {"warmup": False, "first_of_shape": False})
    write_table(tmp_path / "predictions.parquet", make_table("predictions", rows))
    (found,) = first_calls("r", CellRows(tmp_path / "predictions.parquet"))
    assert (found["calls"], found["later_ms"], found["extra_ms"]) == (4, 10.0, 40.0)
    assert found["process_ms"] == pytest.approx(80.0)
