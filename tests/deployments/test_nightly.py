"""The flow as it runs every night: queued behind others, compared with a baseline, read by programs."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from prefect import flow
from prefect.artifacts import Artifact

from ptdq.analysis.tables import against_baseline, figure_rows
from ptdq.errors import UserError
from ptdq.host.lock import MachineLock, holder
from ptdq.orchestration import artifacts as prefect_artifacts
from ptdq.report.summary import summary_path, summary_schema
from ptdq.store import baseline as baseline_run
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from ptdq.store.run import load
from ptdq.store.schema import SCHEMA_VERSION
from tests.support.running import ROOT, run_flow, start_ptdq, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def asked(prefect_server: str, tiny_model: Path, tiny_data: Path, results: Path) -> dict[str, Any]:
    """Parameters of a short run."""
    return {
        "model": str(tiny_model),
        "data": str(tiny_data),
        "max_length": [16],
        "repeats": 1,
        "control_documents": 0,
        "results_dir": str(results),
        "load_wait": 0,
    }


@pytest.fixture(scope="module")
def good(asked: dict[str, Any], results: Path) -> RunFiles:
    """A run that has to wait for another one first, and is the baseline then."""
    other = MachineLock()
    other.acquire("another")
    said: list[dict[str, Any] | None] = []

    def free() -> None:
        said.append(holder())
        other.release()

    timer = threading.Timer(3, free)
    timer.start()
    try:
        assert run_flow(**asked, run_id="good").is_completed()
    finally:
        timer.join()
    assert said[0] is not None
    assert said[0]["run_id"] == "another"
    assert holder() is None
    return baseline_run.mark(results, "good")


@pytest.fixture(scope="module")
def tonight(good: RunFiles, asked: dict[str, Any], results: Path) -> RunFiles:
    """The run after it, with machines so busy that it is flagged."""
    assert run_flow(**asked | {"max_load": 0}, run_id="tonight").is_completed()
    return RunFiles(results / "tonight")


def test_the_change_since_the_baseline_is_in_record_report_and_summary(
    good: RunFiles, tonight: RunFiles
) -> None:
    assert read_json(good.record)["baseline"] is None
    found = read_json(tonight.record)["baseline"]
    assert (found["old"], found["new"], found["timings_refused"]) == ("good", "tonight", None)
    assert [(c["variant"], c["documents"]) for c in found["changes"]] == [
        ("fp32", 40), ("int8-dynamic", 40),
    ]  # fmt: skip
    # The same model and documents: not one prediction differs.
    assert {(c["better"], c["worse"]) for c in found["changes"]} == {(0, 0)}
    assert found["differences"] == []
    assert "## Change since run `good`" in tonight.report.read_text(encoding="utf-8")
    summary = read_json(summary_path(tonight))
    jsonschema.Draft202012Validator(summary_schema()).validate(summary)
    assert (summary["status"], summary["since"]["run_id"]) == ("completed", "good")


def test_load_of_others_is_in_record_and_report(good: RunFiles, tonight: RunFiles) -> None:
    notes = [note for note in read_json(tonight.record)["notes"] if "others used up to" in note]
    assert len(notes) <= 1  # none only where the machine is entirely idle for a second
    text = tonight.report.read_text(encoding="utf-8")
    assert all(note.partition("%")[0] in text for note in notes)


def test_artifacts_are_what_is_documented(tonight: RunFiles) -> None:
    def data(key: str) -> str:
        artifact: Any = Artifact.get(key)
        assert artifact is not None, key
        return str(artifact.data)

    def rows(key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(data(key))
        return found

    verdict, *rest = rows(prefect_artifacts.VERDICT)
    assert rest == []
    record = read_json(tonight.record)
    assert {name: verdict[name] for name in ("run_id", "schema_version", "deployment")} == {
        "run_id": "tonight", "schema_version": SCHEMA_VERSION, "deployment": None,
    }  # fmt: skip
    assert (verdict["model"], verdict["model_digest"]) == (
        record["model"]["name"],
        record["model"]["digest"],
    )
    assert (verdict["data"], verdict["data_digest"]) == (record["data"]["path"], record["data"]["digest"])
    assert (Path(verdict["directory"]) / "run.json").is_file()
    run = load(tonight)
    figures, compared = rows(prefect_artifacts.FIGURES), rows(prefect_artifacts.COMPARISONS)
    for key, found in (
        (prefect_artifacts.VERDICT, [verdict]),
        (prefect_artifacts.FIGURES, figures),
        (prefect_artifacts.COMPARISONS, compared),
    ):
        # `main` is of tasks that have no F1.
        columns = [name for name in prefect_artifacts.COLUMNS[key] if name != "main"]
        assert [list(row) for row in found] == [columns] * len(found)
        assert all((r["run_id"], r["schema_version"]) == ("tonight", SCHEMA_VERSION) for r in found)
    common = {"schema_version": SCHEMA_VERSION, "run_id": "tonight"}
    assert figures == [common | row for row in json.loads(json.dumps(figure_rows(tonight)))]
    assert [(r["variant"], r["speedup"]) for r in compared] == [
        (r["variant"], r["speedup"]) for r in against_baseline(run)
    ]
    report = data(prefect_artifacts.REPORT)
    assert "# Quantization benchmark `tonight`" in report
    assert "data:image/png;base64," in report
    assert float(data(prefect_artifacts.PROGRESS)) == 100
    image = data(prefect_artifacts.PLOT).removeprefix("data:image/png;base64,")
    assert base64.b64decode(image) == tonight.plot("ratios").read_bytes()
    for key in ("REPORT", "PLOT", "VERDICT", "FIGURES", "COMPARISONS", "FILES", "PROGRESS"):
        assert f"``{getattr(prefect_artifacts, key)}``" in str(prefect_artifacts.__doc__)


def ask(server: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The client's answer."""
    return subprocess.run(
        [sys.executable, "examples/latest_verdict.py", *arguments],
        cwd=ROOT,
        env=os.environ | {"PREFECT_API_URL": server},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_client_reads_the_latest_verdict_of_its_model(
    tonight: RunFiles, asked: dict[str, Any], prefect_server: str, tmp_path: Path
) -> None:
    # Somebody else's verdict, of another model, comes later.
    record = read_json(tonight.record)
    other = {"model": record["model"] | {"name": "another", "digest": "another's"}}
    colleagues = RunFiles(tmp_path / "colleague")
    shutil.copytree(tonight.directory, colleagues.directory)
    write_json(colleagues.record, record | other | {"run_id": "colleague"})

    @flow
    def of_a_colleague() -> None:
        prefect_artifacts.publish_run(colleagues, "# Report")

    of_a_colleague()
    assert json.loads(ask(prefect_server, "--model", "another").stdout)["run_id"] == "colleague"
    decision = record["verdict"]["decision"]
    done = ask(prefect_server, "--model", asked["model"])
    found = json.loads(done.stdout)
    assert (found["run_id"], found["decision"]) == ("tonight", decision)
    assert [row["variant"] for row in found["comparisons"]] == ["int8-dynamic"]
    assert {row["run_id"] for row in found["comparisons"]} == {"tonight"}
    assert done.returncode == {"ship": 0, "don't ship": 3, "can't tell": 4}[decision]
    of_digest = ask(prefect_server, "--model", record["model"]["digest"])
    assert json.loads(of_digest.stdout) == found


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--model", "no-such"], 1, "no verdict for model no-such"),
        (["--deployment", "nightly"], 1, "no verdict for deployment nightly"),
        ([], 2, "give --model, --deployment, or both"),
    ],
)
def test_a_client_is_told_where_no_verdict_is_its_own(
    tonight: RunFiles, prefect_server: str, arguments: list[str], status: int, words: str
) -> None:
    done = ask(prefect_server, *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert words in done.stderr.splitlines()[-1]


def test_without_waiting_the_flow_fails_and_leaves_nothing(asked: dict[str, Any], results: Path) -> None:
    with MachineLock() as other:
        other.acquire("another")
        error = run_flow(**asked, run_id="hasty", max_wait=0).result(raise_on_failure=False)
    assert isinstance(error, UserError)
    assert "run another (pid" in str(error)
    assert not (results / "hasty").exists()


def test_a_baseline_that_is_not_there_is_refused_before_any_work(
    asked: dict[str, Any], results: Path
) -> None:
    state = run_flow(**asked, run_id="lost", baseline="nowhere")
    error = state.result(raise_on_failure=False)
    assert isinstance(error, UserError)
    assert "baseline: run 'nowhere'" in str(error)
    assert not (results / "lost").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_run_that_waits_can_be_ended(
    number: signal.Signals, asked: dict[str, Any], prefect_server: str, results: Path
) -> None:
    with MachineLock() as other:
        other.acquire("another")
        ptdq = start_ptdq(
            "run", "--model", asked["model"], "--data", asked["data"], "--max-length", 16,
            "--repeats", 1, "--results-dir", results, "--run-id", "waiting",
            server=prefect_server,
        )  # fmt: skip
        said: list[bytes] = []
        assert ptdq.stderr is not None
        reader = threading.Thread(target=lambda: said.extend(ptdq.stderr or ()))
        reader.start()
        try:
            wait_for("message", lambda: any(b"waiting: run another" in line for line in said))
            ptdq.send_signal(number)
            assert ptdq.wait(timeout=120) != 0
        finally:
            ptdq.kill()
            ptdq.wait()
            reader.join()
            if ptdq.stdout is not None:
                ptdq.stdout.close()
            ptdq.stderr.close()
    assert not (results / "waiting").exists()
