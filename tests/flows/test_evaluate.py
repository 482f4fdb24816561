"""A file evaluated in shards: on Dask workers, gone on with, and the same as without shards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
from prefect.client.schemas.objects import State
from sklearn.metrics import f1_score

from ptdq.errors import RunFailed, UserError
from ptdq.host.lock import MachineLock
from ptdq.inputs.documents import read_documents, wanted_columns
from ptdq.inputs.stream import read_frames
from ptdq.store.disk import read_json
from ptdq.store.layout import ShardFiles
from ptdq.store.tables import read_table
from tests.support.held import HELD, HOLD
from tests.support.running import ROOT, broken_files, wait_for
from tests.support.small_disk import fill, small_file_system

pytestmark = [pytest.mark.slow, pytest.mark.long]

SHARD = 7
Evaluate = Callable[..., State[Any]]


@pytest.fixture(scope="module")
def evaluate(prefect_server: str, tiny_model: Path, tiny_data: Path) -> Evaluate:
    from ptdq.flows.evaluate import sharded_evaluation
    from ptdq.orchestration.runners import make_runner

    def run(results: Path, workers: int | None = None, **values: Any) -> State[Any]:
        given: dict[str, Any] = {
            "model": str(tiny_model),
            "data": str(tiny_data),
            "variant": ["int8-dynamic"],
            "max_length": [16],
            "results_dir": str(results),
            "run_id": "sharded",
        }
        flow = sharded_evaluation.with_options(task_runner=make_runner(workers))
        return cast(State[Any], flow(**given | values, shard_documents=SHARD, return_state=True))

    return run


@pytest.fixture(scope="module")
def sharded(evaluate: Evaluate, tmp_path_factory: pytest.TempPathFactory) -> ShardFiles:
    """Forty documents in shards of seven, on two Dask worker processes."""
    pytest.importorskip("prefect_dask")
    results = tmp_path_factory.mktemp("results")
    state = evaluate(results, workers=2)
    assert state.is_completed(), state.message
    return ShardFiles(results / "sharded")


def test_shards_were_done_by_several_processes(sharded: ShardFiles) -> None:
    record = read_json(sharded.record)
    assert record["shards"] == 6
    assert record["documents"] == 40
    assert record["processes"] == 2
    sizes = [pq.read_metadata(path).num_rows for path in sorted(sharded.shards.iterdir())]
    assert sizes == [7, 7, 7, 7, 7, 5]


def test_predictions_are_those_without_shards(sharded: ShardFiles, run_tiny: Callable[..., Any]) -> None:
    finished = run_tiny("whole", variant=["int8-dynamic"], max_length=[16])
    whole = read_table(finished.files.table("predictions")).to_pandas()
    whole = whole[~whole["warmup"]].set_index("doc_id")
    parts = pd.read_parquet(sharded.shards).set_index("doc_id")
    assert parts.index.is_monotonic_increasing
    whole = whole.loc[parts.index]
    for column in ("label", "prediction", "tokens"):
        assert (parts[column] == whole[column]).all()
    assert np.array_equal(np.stack([*parts["logits"]]), np.stack([*whole["logits"]]))


def test_quality_is_that_of_all_rows(sharded: ShardFiles) -> None:
    rows = pd.read_parquet(sharded.shards)
    expected = f1_score(rows["label"], rows["prediction"], average="weighted")
    assert read_json(sharded.record)["f1_weighted"] == pytest.approx(expected, abs=1e-12)
    assert f"weighted F1 {expected:.4f}" in sharded.report.read_text(encoding="utf-8")


def test_groups_go_into_the_shards_and_are_counted(
    evaluate: Evaluate, tiny_data: Path, tmp_path: Path
) -> None:
    path, results = tmp_path / "grouped.csv", tmp_path / "results"
    rows = pd.read_csv(tiny_data)
    rows.assign(author=[f"author {n % 13}" for n in range(len(rows))]).to_csv(path, index=False)
    state = evaluate(results, data=str(path), group_column="author")
    assert state.is_completed(), state.message
    files = ShardFiles(results / "sharded")
    parts = pd.read_parquet(files.shards).sort_values("doc_id")
    assert parts["group"].tolist() == [f"author {n % 13}" for n in range(40)]
    assert read_json(files.record)["groups"] == 13
    assert "13 groups of documents that belong together (`author`)" in files.report.read_text("utf-8")
    # It is gone on with by the same question alone.
    error = evaluate(results, data=str(path)).result(raise_on_failure=False)
    assert isinstance(error, UserError)
    assert "group_column" in str(error)


def test_what_is_missing_or_broken_is_done_again_and_nothing_else(
    sharded: ShardFiles, evaluate: Evaluate
) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in sharded.shards.iterdir()}
    whole = sharded.shard(1).read_bytes()
    sharded.shard(1).write_bytes(whole[: len(whole) // 2])
    sharded.shard(2).write_bytes(sharded.shard(3).read_bytes())
    sharded.shard(4).unlink()
    documents = sharded.documents.read_bytes()
    sharded.documents.write_bytes(documents[: len(documents) // 2])
    state = evaluate(sharded.directory.parent)
    assert state.is_completed(), state.message
    after = {path.name: path.stat().st_mtime_ns for path in sharded.shards.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {
        sharded.shard(number).name for number in (1, 2, 4)
    }
    assert sharded.documents.read_bytes() == documents
    assert read_json(sharded.record)["documents"] == 40


def test_another_question_is_refused(sharded: ShardFiles, evaluate: Evaluate) -> None:
    state = evaluate(sharded.directory.parent, max_length=[8])
    error = state.result(raise_on_failure=False)
    assert isinstance(error, UserError)
    assert "max_length" in str(error)


def test_shards_of_this_machine_wait_for_a_benchmark(evaluate: Evaluate, tmp_path: Path) -> None:
    with MachineLock() as lock:
        lock.acquire("nightly")
        error = evaluate(tmp_path, max_wait=0).result(raise_on_failure=False)
    assert isinstance(error, UserError)
    assert "run nightly" in str(error)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_in_one_line_and_the_evaluation_goes_on(
    evaluate: Evaluate, tmp_path: Path
) -> None:
    with small_file_system(tmp_path / "results") as results:
        ballast = fill(results)
        error = evaluate(results).result(raise_on_failure=False)
        assert isinstance(error, RunFailed)
        assert str(error).startswith("no space left")
        assert str(error).endswith("(--run-id sharded does the missing ones)")
        ballast.unlink()
        state = evaluate(results)
        assert state.is_completed(), state.message
        assert read_json(ShardFiles(results / "sharded").record)["documents"] == 40


def test_a_killed_driver_leaves_no_worker_and_loses_no_shard(
    prefect_server: str, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    pytest.importorskip("prefect_dask")
    files, hold = ShardFiles(tmp_path / "killed"), tmp_path / "hold"
    output = tmp_path / "output"

    def start() -> subprocess.Popen[bytes]:
        with output.open("ab") as log:
            return subprocess.Popen(
                [Path(sys.executable).with_name("ptdq"), "evaluate", "--model", tiny_model,
                 "--data", tiny_data, "--variant", HELD, "--max-length", "16",
                 "--shard-documents", str(SHARD), "--workers", "2", "--run-id", files.run_id,
                 "--results-dir", tmp_path],
                cwd=ROOT,
                env=os.environ | {"PREFECT_API_URL": prefect_server, HOLD: str(hold)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip

    hold.touch()
    driver = start()

    def in_the_middle() -> bool:
        assert driver.poll() is None, output.read_text(encoding="utf-8")
        return len(list(files.shards.glob("[0-9]*.parquet"))) == 2  # each worker waits in its second

    try:
        wait_for("two shards", in_the_middle)
        children = psutil.Process(driver.pid).children(recursive=True)
        assert len(children) >= 2
    finally:
        driver.kill()
        driver.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    assert broken_files(files.directory) == []
    before = {path: path.stat().st_mtime_ns for path in files.shards.iterdir()}
    assert len(before) == 2

    hold.unlink()
    assert start().wait(timeout=300) == 0, output.read_text(encoding="utf-8")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert read_json(files.record)["documents"] == 40


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet", "csv.gz"])
def test_a_stream_gives_the_rows_of_the_file(tmp_path: Path, tiny_data: Path, ending: str) -> None:
    rows = pd.read_csv(tiny_data, dtype=str)
    path = tmp_path / f"rows.{ending}"
    if ending == "parquet":
        rows.to_parquet(path, row_group_size=9)
    elif ending == "jsonl":
        rows.to_json(path, lines=True, orient="records", force_ascii=False)
    else:
        rows.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    frames = list(read_frames(str(path), "utf-8", SHARD, wanted_columns("text", "label")))
    assert [len(frame) for frame in frames] == [7, 7, 7, 7, 7, 5]
    for column in ("text", "label"):
        assert [value for frame in frames for value in frame[column]] == rows[column].tolist()
    raw = read_documents(
        str(path), text_column="text", label_column="label", encoding="utf-8", limit=None, seed=0
    )
    assert raw.texts == [text for frame in frames for text in frame["text"]]
