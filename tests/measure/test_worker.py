"""Real workers on a tiny model: what they import, evaluate, read back and notice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import psutil
import pytest

from ptdq.host import machine
from ptdq.host.machine import usable_cores
from ptdq.host.process import child_environment
from ptdq.measure.cell import Work, measure_cell
from ptdq.measure.cell_request import CellRequest
from ptdq.measure.watch import clock_flags
from ptdq.measure.worker import Refused, check_process
from ptdq.runtimes.onnx_runtime import open_model
from ptdq.runtimes.tokenizing import FastTokenizer
from ptdq.store.disk import read_json
from ptdq.store.layout import RunFiles
from ptdq.variant_names import earlier_name
from ptdq.variants.artifact import Artifact
from tests.support.cells import a_cell, artifact_of, columns, write_documents

TEXTS = [
    "球",
    "球队",
    "球队今",
    "胜负",
    "新车油耗",
    "球",
    "医生建议多走少坐新车油耗更低学校放假部队演习",
    "坐",
]
# With [CLS] and [SEP], cut to 16.
TOKENS = [3, 4, 5, 4, 6, 3, 16, 3]


@pytest.fixture(scope="module")
def artifacts(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    root = tmp_path_factory.mktemp("artifacts")
    return {name: artifact_of(tiny_model, name, root / name) for name in ("fp32", "onnx-fp32")}


@pytest.fixture
def files(tmp_path: Path) -> RunFiles:
    return RunFiles(tmp_path / "run")


def test_a_timing_cell_makes_a_call_of_each_shape_before_it_times(
    artifacts: dict[str, Artifact], files: RunFiles, tmp_path: Path
) -> None:
    work = Work(write_documents(tmp_path / "documents.parquet", TEXTS), "timing", warmup=1)
    outcome = measure_cell(files, a_cell("onnx-fp32"), artifacts["onnx-fp32"], work)
    assert outcome.error is None
    rows, facts = columns(files.cell("cell"))
    assert set(rows["kind"]) == {"timing"}
    warmup, first = rows["warmup"].astype(bool), rows["first_of_shape"].astype(bool)
    # Warm-up first, then one call of each shape that it did not have, then every document once.
    assert sorted(rows["doc_id"][~warmup]) == sorted(f"d{n}" for n in range(len(TEXTS)))
    assert (np.flatnonzero(warmup) == np.arange(warmup.sum())).all()
    assert not first[0]
    assert first[1 : warmup.sum()].all()
    assert not first[~warmup].any()
    assert sorted(rows["tokens"][warmup]) == sorted(set(TOKENS))
    assert dict(zip(rows["doc_id"], rows["tokens"], strict=True)) == {
        f"d{n}": tokens for n, tokens in enumerate(TOKENS)
    }
    assert (rows["truncated"].astype(bool) == (rows["tokens"] == 16)).all()
    assert facts["runtime_threads"] == 1
    assert facts["torch_threads"] is None
    assert facts["affinity"] == usable_cores()[:1]
    assert facts["warmup_seconds"] > 0
    assert 0 < facts["load_seconds"] < facts["start_seconds"] < facts["wall_seconds"]


def test_the_artifact_of_an_earlier_run_is_loaded_by_the_code_of_its_variant(
    artifacts: dict[str, Artifact], files: RunFiles, tmp_path: Path
) -> None:
    work = Work(write_documents(tmp_path / "documents.parquet", TEXTS), "timing", warmup=1)
    assert measure_cell(files, a_cell(earlier_name("fp32")), artifacts["fp32"], work).error is None


def test_a_quality_cell_evaluates_every_document_once(
    artifacts: dict[str, Artifact], files: RunFiles, tmp_path: Path
) -> None:
    documents = write_documents(tmp_path / "documents.parquet", TEXTS)
    work = Work(documents, "quality", batch_size=3, warmup=1)
    assert measure_cell(files, a_cell("fp32"), artifacts["fp32"], work).error is None
    rows, facts = columns(files.cell("cell"))
    assert set(rows["kind"]) == {"quality"}
    assert not rows["first_of_shape"].any()
    assert len(rows["doc_id"]) == len(TEXTS) + 3
    assert facts["torch_threads"] == facts["interop_threads"] == 1
    assert facts["engine"] == artifacts["fp32"].settings.engine


@pytest.mark.skipif("avx2" not in machine.cpu_flags(), reason="no x86 with AVX2")
def test_a_capped_cell_is_capped_and_says_so(
    artifacts: dict[str, Artifact], files: RunFiles, tmp_path: Path
) -> None:
    work = Work(write_documents(tmp_path / "documents.parquet", TEXTS), warmup=0)
    with machine.capped("avx2"):
        assert measure_cell(files, a_cell("fp32"), artifacts["fp32"], work).error is None
    _, facts = columns(files.cell("cell"))
    assert (facts["isa"], facts["torch_capability"]) == ("avx2", "AVX2")
    assert read_json(files.requests / "cell.json")["isa"] == "avx2"

    request = CellRequest.from_json(read_json(files.requests / "cell.json") | {"core": None})
    with pytest.raises(Refused, match="isa is None, asked for avx2"):
        check_process(request, lambda inputs: np.zeros((1, 1), np.float32))


def test_logits_are_those_of_the_tokenizer_of_transformers(
    artifacts: dict[str, Artifact], files: RunFiles, tmp_path: Path, tiny_model: Path
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    assert isinstance(artifacts["fp32"].tokenizer(), FastTokenizer)
    work = Work(write_documents(tmp_path / "documents.parquet", TEXTS), warmup=0)
    assert measure_cell(files, a_cell("fp32"), artifacts["fp32"], work).error is None
    rows, _ = columns(files.cell("cell"))
    model = AutoModelForSequenceClassification.from_pretrained(tiny_model).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    for name, logits in zip(rows["doc_id"], rows["logits"], strict=True):
        text = TEXTS[int(name[1:])]
        wanted = model(**tokenizer(text, max_length=16, truncation=True, return_tensors="pt")).logits
        np.testing.assert_allclose(logits, wanted.detach().numpy()[0], atol=1e-5)


@pytest.mark.parametrize(
    ("variant", "absent"),
    [
        ("onnx-fp32", ("torch", "transformers", "pandas", "scipy", "sklearn", "prefect", "torchao")),
        ("fp32", ("pandas", "scipy", "sklearn", "prefect", "torchao")),
    ],
)
def test_a_worker_imports_what_it_runs_and_nothing_else(
    variant: str,
    absent: tuple[str, ...],
    artifacts: dict[str, Artifact],
    files: RunFiles,
    tmp_path: Path,
) -> None:
    work = Work(write_documents(tmp_path / "documents.parquet", TEXTS), warmup=0)
    assert measure_cell(files, a_cell(variant), artifacts[variant], work).error is None
    files.cell("cell").unlink()
    script = (
        "import json, sys; from ptdq.measure.worker import main; "
        "status = main(sys.argv[1:]); print(json.dumps(sorted(sys.modules))); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(files.requests / "cell.json")],
        env=child_environment(1),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert "pyarrow" in loaded
    assert set(loaded) & set(absent) == set()
    assert files.cell("cell").is_file()


def test_other_threads_than_asked_for_are_refused(
    artifacts: dict[str, Artifact], files: RunFiles, tmp_path: Path
) -> None:
    work = Work(write_documents(tmp_path / "documents.parquet", TEXTS), warmup=0)
    cell = a_cell("onnx-fp32")
    assert measure_cell(files, cell, artifacts["onnx-fp32"], work).error is None
    request = files.requests / "cell.json"
    done = subprocess.run(
        [sys.executable, "-m", "ptdq.measure.worker", str(request)],
        env=child_environment(2),  # the request says one
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "refused: OMP_NUM_THREADS was 2 when the runtime was imported"
    )


def is_worker(process: psutil.Process) -> bool:
    """Whether a child measures; one that has ended, and that nobody waited for yet, does not."""
    try:
        return "ptdq.measure.worker" in process.cmdline()
    except psutil.Error:
        return False


def test_a_worker_that_stood_still_says_so(
    artifacts: dict[str, Artifact], files: RunFiles, tmp_path: Path
) -> None:
    stopped: list[int] = []

    def stop(done: int) -> None:
        if stopped:
            return
        (worker,) = [p for p in psutil.Process().children() if is_worker(p)]
        stopped.append(done)
        worker.suspend()
        time.sleep(1.5)
        worker.resume()

    work = Work(write_documents(tmp_path / "documents.parquet", TEXTS * 2000), "quality", warmup=0)
    cell = a_cell("onnx-fp32")
    assert measure_cell(files, cell, artifacts["onnx-fp32"], work, on_progress=stop).error is None
    assert stopped[0] < len(TEXTS) * 2000
    _, facts = columns(files.cell("cell"))
    assert 1.4 < facts["still_seconds"] < 4
    assert any(flag.startswith("the worker stood still for") for flag in clock_flags(facts))


def test_a_neighbour_on_the_core_is_not_standing_still(
    artifacts: dict[str, Artifact], files: RunFiles, tmp_path: Path
) -> None:
    core = usable_cores()[0]
    burn = f"import os; os.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    neighbour = subprocess.Popen([sys.executable, "-c", burn])
    try:
        # Seconds, in which the scheduler shares the core out evenly; in a quarter of one it did not.
        documents = write_documents(tmp_path / "documents.parquet", TEXTS * 4000)
        work = Work(documents, "quality", warmup=0)
        assert measure_cell(files, a_cell("onnx-fp32"), artifacts["onnx-fp32"], work).error is None
    finally:
        neighbour.kill()
        neighbour.wait()
    _, facts = columns(files.cell("cell"))
    assert facts["other_seconds"] > 0.2 * facts["measure_seconds"]
    assert facts["still_seconds"] == 0


def test_a_stopped_parent_is_told(
    artifacts: dict[str, Artifact], files: RunFiles, tmp_path: Path
) -> None:
    documents = write_documents(tmp_path / "documents.parquet", TEXTS * 1500)
    artifact = artifacts["onnx-fp32"]
    script = textwrap.dedent(f"""
        from pathlib import Path
        from ptdq.measure.cell import Work, measure_cell
        from ptdq.store.layout import RunFiles
        from ptdq.variants.artifact import open_artifact
        from ptdq.variants.base import Settings
        from tests.support.cells import a_cell
        work = Work(Path({str(documents)!r}), "quality", warmup=0)
        settings = Settings(engine={artifact.settings.engine!r})
        artifact = open_artifact(Path({str(artifact.directory)!r}), settings)
        report = lambda done: print(done, flush=True)
        files = RunFiles(Path({str(files.directory)!r}))
        measure_cell(files, a_cell("onnx-fp32"), artifact, work, report)
    """)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline()  # its worker is at work
        parent.send_signal(signal.SIGSTOP)
        end = time.monotonic() + 60
        while not files.cell("cell").is_file() and time.monotonic() < end:
            time.sleep(0.1)
    finally:
        parent.send_signal(signal.SIGCONT)
        parent.communicate(timeout=60)
    _, facts = columns(files.cell("cell"))
    assert facts["parent_stopped"]
    assert facts["still_seconds"] == 0
    assert len(clock_flags(facts)) == 1


def test_replicas_begin_at_once(artifacts: dict[str, Artifact], files: RunFiles, tmp_path: Path) -> None:
    documents = write_documents(tmp_path / "documents.parquet", TEXTS * 20)
    work = Work(documents, warmup=0, together=2)
    errors: list[str | None] = []

    def run(cell_id: str) -> None:
        cell = a_cell("onnx-fp32", cell_id)
        errors.append(measure_cell(files, cell, artifacts["onnx-fp32"], work).error)

    threads = [threading.Thread(target=run, args=(name,)) for name in ("one", "two")]
    threads[0].start()
    time.sleep(1)  # the first to be ready waits for the other
    threads[1].start()
    for thread in threads:
        thread.join()
    assert errors == [None, None]
    begins = []
    for name in ("one", "two"):
        request = read_json(files.requests / f"{name}.json")
        _, facts = columns(files.cell(name))
        assert facts["met"]
        begins.append(request["spawned_ns"] / 1e9 + facts["start_seconds"] + facts["warmup_seconds"])
    assert abs(begins[0] - begins[1]) < 0.5


def test_a_request_can_be_run_again_by_hand(
    artifacts: dict[str, Artifact], files: RunFiles, tmp_path: Path
) -> None:
    work = Work(write_documents(tmp_path / "documents.parquet", TEXTS), warmup=0)
    cell = a_cell("onnx-fp32")
    assert measure_cell(files, cell, artifacts["onnx-fp32"], work).error is None
    request = read_json(files.requests / "cell.json")
    assert request["settings"] == json.loads(json.dumps(asdict(artifacts["onnx-fp32"].settings)))
    assert request["documents"] == os.fspath(work.documents)


def test_a_runtime_with_other_threads_is_refused(
    artifacts: dict[str, Artifact], files: RunFiles, tmp_path: Path
) -> None:
    work = Work(write_documents(tmp_path / "documents.parquet", TEXTS), warmup=0)
    assert measure_cell(files, a_cell("onnx-fp32"), artifacts["onnx-fp32"], work).error is None
    request = CellRequest.from_json(read_json(files.requests / "cell.json") | {"core": None})
    predict = open_model(artifacts["onnx-fp32"].directory, threads=2)
    with pytest.raises(Refused, match="runtime_threads is 2, asked for 1"):
        check_process(request, predict)
