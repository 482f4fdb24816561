"""What a preparation says while it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptdq.host.terminal import calm
from ptdq.inputs.calibration import CalibrationRequest
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.variants.base import Settings
from ptdq.variants.engines import choose_engine
from ptdq.variants.preparation import Terms, prepare_variant
from ptdq.variants.steps import last_step, step, told
from tests.conftest import CLASSES


def test_the_last_step_is_read_from_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reported: list[int] = []
    with told(reported.append):
        step("converting the model")
        print("a bar of progress", end="")
        step("quantizing")
        print("something else")
    step("nobody waits for this")
    log = tmp_path / "prepare.log"
    log.write_text(capsys.readouterr().out)
    assert reported == [1, 2]
    assert last_step(log) == "quantizing"
    assert last_step(tmp_path / "none") is None


@pytest.mark.slow
def test_a_preparation_tells_its_parent(tiny_model: Path, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(str(tiny_model), labels=CLASSES)
    nothing = CalibrationRequest(None, "random 16", "random text", 16)
    said: list[str] = []
    with calm() as display, pytest.MonkeyPatch.context() as patch:
        patch.setattr(display, "doing", said.append)
        settings = Settings(engine=choose_engine(None))
        log = tmp_path / "prepare.log"
        prepare_variant("fp32", checkpoint, settings, nothing, log, Terms(300, use_cache=False))
    assert said == ["fp32: comparing the artifact with the float model"]
