"""The public interface: a real run from Python, a run that is there, and what each import costs."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path

import pandas as pd
import pytest

import ptdq
from ptdq.parameters import Parameters
from ptdq.store.disk import write_json
from ptdq.store.layout import RunFiles
from ptdq.store.schema import schema, tables
from tests.support.factory import Factory
from tests.support.held import HELD, WAITS
from tests.support.running import ROOT, log_of, wait_for, worker

HOSTILE = '<script>alert("x")</script>'


@pytest.fixture(scope="session")
def run(
    prefect_server: str, tiny_model: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> ptdq.Run:
    """A run with a gate that nothing passes, as a notebook starts it: inside a running event loop.

    And in another thread than the main one, where no signal can be handled.
    """
    results: list[ptdq.Run | BaseException] = []

    async def cell_of_a_notebook() -> None:
        results.append(
            ptdq.run(
                model=tiny_model,
                data=tiny_data,
                variant=("fp32", "int8-dynamic"),
                max_length=[16],
                repeats=1,
                control_documents=0,
                load_wait=0,
                min_speedup=1000,
                results_dir=tmp_path_factory.mktemp("results"),
                run_id="from-python",
            )
        )

    def thread() -> None:
        try:
            asyncio.run(cell_of_a_notebook())
        except BaseException as error:
            results.append(error)

    notebook = threading.Thread(target=copy_context().run, args=(thread,))
    notebook.start()
    notebook.join()
    (result,) = results
    assert isinstance(result, ptdq.Run), result
    return result


@pytest.mark.slow
def test_a_run_from_python(run: ptdq.Run) -> None:
    assert run.directory.name == "from-python"
    assert run.report.read_text(encoding="utf-8").startswith("# Quantization benchmark")
    assert run.verdict is not None
    assert run.verdict.decision in ("ship", "don't ship", "can't tell")
    assert set(run.cells["variant"]) == {"fp32", "int8-dynamic"}
    assert list(run.comparisons["variant"]) == ["int8-dynamic"]
    assert len(run.predictions[~run.predictions["warmup"].astype(bool)]) == 2 * 40


@pytest.mark.slow
def test_a_gate_that_fails_is_an_answer(run: ptdq.Run) -> None:
    (text,) = run.failed_gates
    assert "min_speedup" in text
    assert ptdq.load(run.directory).failed_gates == [text]


@pytest.mark.slow
def test_a_finished_run_has_nothing_left_to_change(run: ptdq.Run) -> None:
    with pytest.raises(ptdq.UserError, match="repeats: a run continues as it began"):
        ptdq.resume(run.directory, repeats=2)


CELL = f"""
import asyncio, sys, ptdq

async def cell():
    ptdq.run(
        sys.argv[1], sys.argv[2], variant=["fp32", "{HELD}"], max_length=[16], repeats=1, cores="1",
        control_documents=0, load_wait=0, results_dir=sys.argv[3], run_id="interrupted",
    )

asyncio.new_event_loop().run_until_complete(cell())
"""


@pytest.mark.long
@pytest.mark.slow
def test_an_interrupted_notebook_leaves_no_process(
    prefect_server: str, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    files = RunFiles(tmp_path / "interrupted")
    cell_id = "tests.support.held-Held-L16-r0"
    with subprocess.Popen(
        [sys.executable, "-c", CELL, tiny_model, tiny_data, tmp_path],
        cwd=ROOT,
        env=os.environ | {"PREFECT_API_URL": prefect_server},
        stderr=subprocess.PIPE,
    ) as notebook:
        wait_for("waiting worker", lambda: WAITS in log_of(files, cell_id))
        process = worker(files, cell_id)
        assert process is not None
        notebook.send_signal(signal.SIGINT)
        _, errors = notebook.communicate(timeout=120)
    assert errors.decode().splitlines()[-1].startswith("KeyboardInterrupt")
    assert not process.is_running()
    run = ptdq.load(files.directory)
    assert (run.record.status, run.record.broken_off) == ("broken off", "interrupted")


# A run that is there.


def test_load_finds_a_run_by_directory_and_by_id(tmp_path: Path) -> None:
    files = Factory(tmp_path / "made").write()
    for run in (ptdq.load(files.directory), ptdq.load("made", tmp_path)):
        assert run.directory == files.directory
        assert run.record.run_id == "made"
    with pytest.raises(ptdq.UserError, match=r"'none': no run.json"):
        ptdq.load("none", tmp_path)


def test_tables_have_the_columns_of_the_schema(tmp_path: Path) -> None:
    run = ptdq.load(Factory(tmp_path / "made").write().directory)
    for name in tables():
        frame = getattr(run, name)
        assert isinstance(frame, pd.DataFrame)
        assert list(frame.columns) == schema(name).names
    assert len(run.comparisons) == 2
    assert run.control.empty  # the factory makes none


def test_a_run_that_has_no_verdict_yet(tmp_path: Path) -> None:
    factory = Factory(tmp_path / "broken")
    factory.record["verdict"] = None
    write_json(factory.files.record, factory.record)
    run = ptdq.load(factory.files.directory)
    assert run.verdict is None
    assert run.comparisons.empty
    assert "none reached" in repr(run)
    assert "none reached" in run._repr_html_()


def test_a_notebook_shows_verdict_tables_and_plot(tmp_path: Path) -> None:
    files = Factory(tmp_path / "made").write()
    plot = files.plot("ratios")
    plot.parent.mkdir()
    plot.write_bytes(b"\x89PNG")
    html = ptdq.load(files.directory)._repr_html_()
    assert "Verdict: " in html
    assert "<td>int8-dynamic</td>" in html
    assert 'src="data:image/png;base64,iVBORw=="' in html
    assert str(tmp_path) not in html


def test_no_data_breaks_out_of_the_html(tmp_path: Path) -> None:
    factory = Factory(tmp_path / "made", variants=("fp32", HOSTILE))
    factory.record["verdict"] = {
        "decision": HOSTILE, "variant": HOSTILE, "headline": HOSTILE, "reasons": [HOSTILE],
    }  # fmt: skip
    factory.tables["cells"][0] |= {"status": "failed", "error": HOSTILE}
    html = ptdq.load(factory.write().directory)._repr_html_()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 6


# Signatures and errors.


def test_run_takes_the_parameters_of_the_command_line() -> None:
    assert list(inspect.signature(ptdq.run).parameters) == list(Parameters.model_fields)
    for name, field in Parameters.model_fields.items():
        assert name in ("model", "data") or f"{name} ({field.default!r}): " in (ptdq.run.__doc__ or "")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: ptdq.run("m", "d.csv", repeats=0), "repeats: "),
        (lambda: ptdq.run("m", "d.csv", repeat=1), "repeat: no such parameter"),
        (lambda: ptdq.run(Path("none"), "none.csv"), "none.csv: no such file"),
        (lambda: ptdq.resume("none"), "'none': no run.json"),
    ],
)
def test_wrong_input_is_one_line(call: Callable[[], object], text: str) -> None:
    with pytest.raises(ptdq.UserError, match=text) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_the_design_as_a_table() -> None:
    cells = ptdq.make_design(["fp32", "a", "b", "c"], [8, 16], repeats=4, cores=[2, 5], seed=1)
    assert {"variant", "max_length", "repeat", "core", "order"} <= set(cells.columns)
    assert len(cells) == 4 * 2 * 4
    assert set(cells["core"]) == {2, 5}
    assert not cells.duplicated(["variant", "max_length", "repeat"]).any()
    assert not cells.duplicated(["core", "order"]).any()
    assert cells.equals(ptdq.make_design(["fp32", "a", "b", "c"], [8, 16], 4, [2, 5], 1))
    assert set(ptdq.make_design(["fp32", "a"], [8], 2, 2)["core"]) == {0, 1}


# What an import costs: a worker's start is part of every cell, and a plug-in's of every command.


@pytest.mark.parametrize(
    "module",
    ["ptdq", "ptdq.variants", "ptdq.cli.main", "ptdq.api", "ptdq.parameters", "ptdq.measure.worker"],
)
def test_imports_are_cheap(module: str) -> None:
    code = (
        f"import sys, {module}\n"
        "heavy = {'prefect', 'pandas', 'torch', 'transformers', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_everything_public_is_there() -> None:
    import ptdq.variants

    for module in (ptdq, ptdq.variants):
        for name in module.__all__:
            assert getattr(module, name) is not None
        assert not hasattr(module, "nonsense")
    assert set(ptdq.__all__) <= set(dir(ptdq))
    assert ptdq.variants.get("fp32").name == "fp32"
