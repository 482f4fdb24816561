"""Variants that are prepared side by side share the cores of the machine."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from ptdq.host.clock import TimeLimit
from ptdq.host.machine import usable_cores
from ptdq.inputs.calibration import CalibrationRequest
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.variants.base import Settings
from ptdq.variants.engines import choose_engine
from ptdq.variants.preparation import SIDE_BY_SIDE, Terms, prepare_variant, start_in_turns
from tests.conftest import CLASSES
from tests.support.planted import THREADS


def test_those_of_a_turn_share_and_what_is_alone_has_all() -> None:
    terms: dict[str, Terms] = {}

    def start(name: str, own: Terms) -> Future[Any]:
        terms[name] = own
        done: Future[Any] = Future()
        done.set_result(None)
        return done

    start_in_turns(["fp32", "int8-dynamic", "int8-best"], Terms(60), start, TimeLimit(None))
    assert terms["fp32"] == terms["int8-dynamic"] == Terms(60, beside=min(2, SIDE_BY_SIDE))
    assert terms["int8-best"] == Terms(60)


@pytest.mark.slow
@pytest.mark.parametrize(("beside", "threads"), [(1, len(usable_cores())), (len(usable_cores()), 1)])
def test_the_process_has_its_share(beside: int, threads: int, tiny_model: Path, tmp_path: Path) -> None:
    made = prepare_variant(
        "tests.support.planted:Threads",
        open_checkpoint(str(tiny_model), labels=CLASSES),
        Settings(engine=choose_engine(None)),
        CalibrationRequest(None, "random 16", "random text", 16),
        tmp_path / "prepare.log",
        Terms(300, use_cache=False, beside=beside),
    )
    assert (made.artifact.directory / THREADS).read_text() == str(threads)
