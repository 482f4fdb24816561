"""Runs of the whole flow that several tests look at."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from ptdq.store.layout import RunFiles
from tests.support.held import HELD, WAITS
from tests.support.running import Finished, Run, log_of, run_flow, wait_for, worker

COPIES = "memory://copies"
"""Where the run ``finished`` is copied to."""


@pytest.fixture(scope="session")
def run_tiny(
    prefect_server: str, tiny_model: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """Run the flow with the tiny model and the small file, in a results directory of its own."""

    def run(run_id: str, **values: Any) -> Finished:
        results = Path(values.setdefault("results_dir", str(tmp_path_factory.mktemp("results"))))
        given = {
            "model": str(tiny_model),
            "data": str(tiny_data),
            "max_length": [16],
            "repeats": 1,
            "control_documents": 0,
            "load_wait": 0,
            "run_id": run_id,
        }
        return Finished(run_flow(**given | values), RunFiles(results / run_id))

    return run


@pytest.fixture(scope="session")
def finished(run_tiny: Run) -> Finished:
    """A run in which all went well: both variants, two lengths, with the control, and a copy."""
    return run_tiny("good", max_length=[8, 16], control_documents=4, publish_to=COPIES)


@pytest.fixture(scope="session")
def troubled(run_tiny: Run, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run in which one worker is killed and another exceeds its time limit; the others are well."""
    results = tmp_path_factory.mktemp("results")
    files = RunFiles(results / "troubled")
    victim = "tests.support.held-Held-L8-r0"

    def kill_one() -> None:
        wait_for("waiting worker", lambda: WAITS in log_of(files, victim))
        process = worker(files, victim)
        assert process is not None
        process.kill()

    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        return run_tiny(
            "troubled",
            variant=["fp32", HELD],
            max_length=[8, 16],
            cell_timeout=40,
            results_dir=str(results),
        )
    finally:
        killer.join()
