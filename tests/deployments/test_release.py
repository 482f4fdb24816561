"""The event of a verdict starts the flow ``release``, for real: server, trigger, worker, export."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import yaml
from prefect.client.schemas.objects import FlowRun
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from ptdq.orchestration import events
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from tests.support.deploying import Installation, parameters, run_deployment
from tests.support.running import ROOT, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.long]

FILE = "deployments/release.yaml"
NIGHTLY = {
    "prefect.resource.id": "prefect.deployment.0",
    "prefect.resource.role": "deployment",
    "prefect.resource.name": "nightly",
}


def test_what_the_night_says_to_ship_is_released(
    installation: Installation,
    tiny_model: Path,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = yaml.safe_load((ROOT / FILE).read_text(encoding="utf-8"))
    content["deployments"][0]["parameters"]["publish_to"] = str(tmp_path / "releases")
    file = tmp_path / "release.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    installation.prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(file))

    values = parameters(tiny_model, tiny_data, tmp_path / "results", run_id="night")
    done = run_deployment(installation, "demo", values, "--watch")
    assert done.returncode == 0, done.stdout + done.stderr
    files = RunFiles(tmp_path / "results" / "night")
    # What a busy machine with forty documents cannot say by itself.
    verdict = {"decision": "ship", "variant": "int8-dynamic", "headline": "", "reasons": []}
    write_json(files.record, {**read_json(files.record), "verdict": verdict})

    def emit(*related: dict[str, str]) -> None:
        monkeypatch.setattr(events, "emit_event", partial(emit_event, related=list(related)))
        events.emit_verdict(files)

    with temporary_settings({PREFECT_API_URL: installation.api}):
        emit()  # of no deployment: it starts nothing
        emit(NIGHTLY)
        EventsWorker.drain_all(timeout=60, at_exit=False)

    def released() -> FlowRun | None:
        with installation.client() as client:
            runs = [run for run in client.read_flow_runs() if run.parameters.get("publish_to")]
        ended = [run for run in runs if run.state is not None and run.state.is_final()]
        assert len(runs) <= 1
        return ended[0] if ended else None

    run = wait_for("release", released)
    assert run.parameters["run"] == str(files.directory)
    assert run.state is not None
    assert run.state.is_completed(), run.state.message
    (place,) = (tmp_path / "releases").iterdir()
    assert place.name == "night-int8-dynamic"
    assert {"README.md", "classifier.json", "artifact"} <= {path.name for path in place.iterdir()}
