"""A run that follows another on the same machine takes what that one found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ptdq.store.disk import read_json
from ptdq.store.layout import RunFiles
from tests.benchmarks import growth
from tests.support.running import ROOT

DOCUMENTS = 300
"""Enough, over all cells, that a run is probed."""

SCRIPT = """
import json, sys
from ptdq.execution import execute
from ptdq.parameters import make_parameters
ended = execute(make_parameters(json.loads(sys.argv[1])), verbose=True)
assert ended.error is None, ended.error
print(json.dumps("transformers.modeling_utils" in sys.modules))
"""


def run(place: Path, run_id: str, server: str) -> tuple[dict[str, Any], str, bool]:
    """Its record, what it logged, and whether it imported the models of transformers."""
    asked = {
        "model": str(place / "model"), "data": str(place / "data.parquet"), "max_length": [16],
        "repeats": 2, "control_documents": 0, "max_load": 100, "run_id": run_id,
        "results_dir": str(place / "results"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(asked)],
        cwd=ROOT,
        env=os.environ | {"PREFECT_API_URL": server, "PTDQ_CACHE": str(place / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    record = read_json(RunFiles(place / "results" / run_id).record)
    return record, done.stderr, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.long
@pytest.mark.slow
def test_it_measures_and_counts_nothing_twice(prefect_server: str, tmp_path: Path) -> None:
    growth.make_model(tmp_path / "model")
    growth.make_data(tmp_path / "data.parquet", DOCUMENTS)
    first, said, models = run(tmp_path, "first", prefect_server)
    assert not models, "a process of its own builds a model that is new"
    assert first["limits"]["measured_before"] is None
    assert "plan: about" in said
    assert "measured at" not in said

    second, said, models = run(tmp_path, "second", prefect_server)
    assert second["limits"]["measured_before"] is not None
    same = {"measured_before": None}
    assert second["limits"] | same == first["limits"]
    assert "; measured at" in said
    assert second["model"] == first["model"]
    assert not models, "reading a model that is known took the seconds of building it"
