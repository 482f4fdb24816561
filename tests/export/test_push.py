"""The card's metadata as the hub's library reads it, and the way to a hub, here one on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from ptdq.analysis import tables
from ptdq.export.build import export
from ptdq.export.metadata import tame
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from ptdq.store.run import load
from tests.report.test_markdown import NASTY
from tests.support.exported import VARIANT
from tests.support.hub import TOKEN, hub
from tests.support.running import ROOT


def test_the_hub_s_library_reads_the_figures(run: RunFiles, cached: Path, tmp_path: Path) -> None:
    card = ModelCard.load(export(run, VARIANT, tmp_path / "out") / "README.md")
    assert card.text.lstrip().startswith("# ")
    assert card.data.pipeline_tag == "text-classification"
    assert VARIANT in (card.data.tags or [])
    assert card.data.base_model is None  # a directory of this machine
    results = card.data.eval_results
    assert results is not None
    assert {result.task_type for result in results} == {"text-classification"}
    kinds = [result.metric_type for result in results]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "f1": 2, "accuracy": 2, "latency": 4, "speedup": 2, "size": 1,
    }  # fmt: skip
    found = next(row for row in tables.figures(load(run)) if row["variant"] == VARIANT)
    (f1,) = (r for r in results if r.metric_type == "f1" and r.metric_args == {"max_length": 128})
    assert f1.metric_value == pytest.approx(found["f1_weighted"], rel=1e-4)
    (size,) = (r for r in results if r.metric_type == "size")
    assert size.metric_value == pytest.approx(found["artifact_mb"], rel=1e-4)
    speedup = next(r for r in results if r.metric_type == "speedup")
    assert speedup.metric_args is not None
    low, high = speedup.metric_args["interval_95"]
    assert low < speedup.metric_value < high
    assert "Imaginary CPU" in speedup.metric_args["cpu"]


def test_a_model_of_the_hub_is_linked_to(run: RunFiles, cached: Path, tmp_path: Path) -> None:
    record = read_json(run.record)
    record["model"] |= {"name": "owner/name", "revision": "0" * 40}
    write_json(run.record, record)
    card = ModelCard.load(export(run, VARIANT, tmp_path / "out") / "README.md")
    assert card.data.base_model == "owner/name"


def test_of_random_weights_no_quality_is_told(run: RunFiles, cached: Path, tmp_path: Path) -> None:
    record = read_json(run.record)
    record["model"] |= {"random_weights": True}
    write_json(run.record, record)
    card = ModelCard.load(export(run, VARIANT, tmp_path / "out") / "README.md")
    assert {result.metric_type for result in card.data.eval_results or []} == {
        "latency", "speedup", "size",
    }  # fmt: skip


@pytest.mark.parametrize("text", NASTY)
def test_names_of_others_are_tame(text: str) -> None:
    assert not set(tame(text)) & set("<>[]{}\"'`#&*!|:@\\\n\0")


def push(
    run: RunFiles, tmp_path: Path, repository: str = "owner/name", **variables: str
) -> subprocess.CompletedProcess[str]:
    """``ptdq export --push-to`` of a user with these variables and no others of the hub's."""
    words = ["export", run.run_id, "--variant", VARIANT, "--out", str(tmp_path / "out")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return subprocess.run(
        [Path(sys.executable).with_name("ptdq"), *words, "--push-to", repository,
         "--results-dir", str(run.directory.parent)],
        env=kept | {"PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path / "hf")} | variables,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.long
def test_an_export_arrives_at_the_hub(run: RunFiles, cached: Path, tmp_path: Path) -> None:
    with hub() as there:
        done = push(run, tmp_path, HF_ENDPOINT=there.address, HF_TOKEN=TOKEN, NO_PROXY="127.0.0.1")
        refused = push(
            run, tmp_path / "again", HF_ENDPOINT=there.address, HF_TOKEN="hf_other", NO_PROXY="127.0.0.1"
        )
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    assert done.stdout.splitlines() == [
        str(out), f"{there.address}/owner/name/commit/{'0' * 40}"
    ]  # fmt: skip
    assert there.made == {"owner/name": "private"}
    assert there.files == {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }
    assert there.cards == [(out / "README.md").read_text(encoding="utf-8")]
    assert refused.returncode == 2
    assert "the hub refuses the token (status 403)" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_without_a_token_nothing_is_written(run: RunFiles, cached: Path, tmp_path: Path) -> None:
    done = push(run, tmp_path)
    assert done.returncode == 2
    assert "push_to owner/name: no token of the model hub; log in (hf auth login)" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_without_a_network_the_export_is_whole(run: RunFiles, cached: Path, tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    done = push(run, tmp_path, HF_ENDPOINT=nowhere, HF_TOKEN=TOKEN, NO_PROXY="127.0.0.1")
    assert done.returncode == 1, done.stderr
    assert "the model hub cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out" / "README.md").is_file()


@pytest.mark.parametrize("name", ["name", "a/b/c", "owner/na me"])
def test_what_names_no_repository_is_refused(
    name: str, run: RunFiles, cached: Path, tmp_path: Path
) -> None:
    done = push(run, tmp_path, name, HF_TOKEN=TOKEN)
    assert done.returncode == 2
    assert f"push_to '{name}'" in done.stderr
