"""A gate for pipelines: what it runs, what it refuses, and what it leaves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner

from ptdq.cli.main import cli
from ptdq.errors import GateFailed, UserError
from ptdq.gate import Old, new_parameters, old_parameters
from ptdq.report.job_summary import add_to_page, job_summary
from ptdq.store.baseline import NONE
from ptdq.store.disk import read_json
from ptdq.store.layout import RunFiles
from tests.benchmarks import pipeline
from tests.report.test_markdown import NASTY, RENDERER
from tests.support.running import ROOT
from tests.support.runs import make_run

ASKED = {"model": "new", "data": "d.csv", "run_id": "job"}


def test_the_old_model_is_judged_on_the_same_and_its_times_are_not_used() -> None:
    given = {"variant": ["fp32", "int8-dynamic"], "max_length": [16], "margin": 0.98, "min_speedup": 1.2}
    asked = new_parameters({**ASKED, **given, "repeats": 6}, Old("old", "v1"))
    before = old_parameters(asked, Old("old", "v1"))
    assert (asked.run_id, asked.baseline, before.run_id, before.baseline) == (
        "job", "job-old", "job-old", NONE,
    )  # fmt: skip
    assert (before.model, before.revision) == ("old", "v1")
    same = {"data", "variant", "max_length", "limit", "seed", "batch_size", "margin", "granularity"}
    assert before.model_dump(include=same) == asked.model_dump(include=same)
    assert (before.repeats, before.min_speedup, before.fail_on_regression) == (1, None, False)
    assert (asked.repeats, asked.min_speedup, asked.fail_on_regression) == (6, 1.2, True)
    assert (asked.target_width, asked.max_minutes) == (0.05, 20)


def test_what_is_given_goes_before_what_is_usual() -> None:
    asked = new_parameters({**ASKED, "baseline": "b", "target_width": "2%", "max_minutes": 3}, None)
    assert (asked.baseline, asked.target_width, asked.max_minutes) == ("b", 0.02, 3)


def test_a_gate_compares_with_one_thing() -> None:
    with pytest.raises(UserError, match=r"give an earlier run \(--baseline\), or the old"):
        new_parameters(ASKED, None)
    with pytest.raises(UserError, match="give one of them"):
        new_parameters({**ASKED, "baseline": "b"}, Old("old"))
    done = CliRunner().invoke(cli, ["gate", "--model", "m", "--data", "d", "--old-revision", "v1"])
    assert "old_revision: it is of --old-model" in str(done.exception)


def test_the_summary_is_short_and_shows_text_as_it_is_written(tmp_path: Path) -> None:
    make_run(tmp_path, "good", seed=1)
    gate = {"name": "min_speedup", "variant": NASTY[3], "threshold": 2.0, "value": 2.4}
    gate |= {"bound": 2.3, "passed": False, "text": NASTY[4]}
    files = make_run(tmp_path, "tonight", seed=2, record={"gates": [gate], "since": "good"})
    text = job_summary(files)
    for part in ("## Verdict: can't tell", "## Gates", "**failed**", "speed-up per document"):
        assert part in text
    assert "![" not in text  # a job's page shows no file of the job
    assert len(text) < 10_000
    shown = RENDERER.render(text)
    assert "<script" not in shown
    assert "<img" not in shown
    page = tmp_path / "page.md"
    page.write_text("of another step\n")
    add_to_page(page, text)
    assert page.read_text().startswith("of another step\n\n# Quantization benchmark")


@pytest.mark.slow
@pytest.mark.long
def test_a_model_that_became_worse_fails_the_job(
    prefect_server: str, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """By its answers: those do not depend on how busy the machine is."""
    worse, page, verdict = tmp_path / "worse", tmp_path / "page.md", tmp_path / "out" / "verdict.json"
    shutil.copytree(tiny_model, worse)
    turn_classes(worse)
    words = ["--model", worse, "--old-model", tiny_model, "--data", tiny_data, "--max-length", "16"]
    words += ["--variant", "int8-dynamic", "--load-wait", "0", "--control-documents", "0"]
    words += ["--repeats", "1", "--max-minutes", "0.01"]  # one round: answers need no more
    words += ["--results-dir", tmp_path / "results", "--run-id", "job", "--json", verdict, "--page", page]
    done = CliRunner().invoke(cli, ["gate", *map(str, words)])
    assert isinstance(done.exception, GateFailed), done.output
    assert "since job-old: int8-dynamic" in str(done.exception)
    summary = read_json(verdict)
    assert summary["since"]["run_id"] == "job-old"
    (change,) = (c for c in summary["since"]["changes"] if c["variant"] == "int8-dynamic")
    assert (change["how"], change["quality_verdict"]) == ("measured again", "worse")
    assert "**Worse than before:**" in page.read_text(encoding="utf-8")
    cells = read_json(RunFiles(tmp_path / "results" / "job").record)["design"]["cells"]
    assert "int8-dynamic@baseline" in {cell["variant"] for cell in cells}


def turn_classes(model: Path) -> None:
    """Have a checkpoint give each class the next one's answer."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(model / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        tensors[name] = tensors[name].roll(1, 0).contiguous()
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})


def test_rates_of_the_benchmark_have_exact_intervals() -> None:
    jobs: list[dict[str, Any]] = [
        {"planted": i % 2 == 1, "failed": i in (1, 3, 5), "kept_float": i % 2, "seconds": 60.0}
        | {"speedup": 1.0, "speedup_low": 0.9, "speedup_high": 1.1 if i % 2 == 0 or i > 5 else 0.99}
        for i in range(40)
    ]
    jobs[0] |= {"speedup": None, "speedup_low": None, "speedup_high": None}
    found = pipeline.rates(jobs)
    assert found["false alarms"][:3] == (0, 20, 0)
    assert found["false alarms"][3] == pytest.approx(0.168, abs=0.001)
    assert found["detections"][:2] == (3, 20)
    assert found["detections"][2:] == pytest.approx((0.032, 0.379), abs=0.001)
    table = pipeline.table({"jobs": jobs})
    assert "| detections | 20 | 3 | 15% | [3.2%, 37.9%] |" in table
    assert "| 0 | 20 | 19 | 0 | 0 | 1.000 | 1.222 | 60 |\n| 1 | 20 | 20 | 3 | 0 |" in table


BUSY = """
import time
from tests.benchmarks import pipeline
if __name__ == "__main__":
    with pipeline._busy(0.05):
        print("busy", flush=True)
        time.sleep(600)
"""


def test_the_busy_program_of_the_benchmark_ends_with_it_when_it_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "busy.py"
    script.write_text(BUSY)
    own = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, script], env=own, stdout=subprocess.PIPE) as benchmark:
        assert benchmark.stdout is not None
        assert benchmark.stdout.readline() == b"busy\n"
        started = psutil.Process(benchmark.pid).children(recursive=True)
        benchmark.kill()
    assert started
    # A spell lasts six seconds at most.
    assert not psutil.wait_procs(started, timeout=30)[1]
