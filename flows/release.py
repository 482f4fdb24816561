"""The flow ``release``: what a run says to ship, exported for serving.

Started by hand, or by the event ``ptdq.verdict.ship`` (``deployments/release.yaml``). An example to build
on: tests of your own, an approval, the roll-out would follow here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.states import Completed

from ptdq.orchestration.ending import ended
from ptdq.store.layout import RunFiles, open_run
from ptdq.tasks.export_winner import export_winner


@flow(name="release", validate_parameters=True)
def release(run: str, publish_to: str = "releases") -> Any:
    """Export the variant that a run says to ship, with its model card and a loader without ptdq.

    Args:
        run: directory of the run; the event has it as `event.payload.verdict.directory`.
        publish_to: directory or URL that gets a directory for each release.
    """
    with ended(RunFiles(Path(run))) as ending:
        place = export_winner.submit(open_run(run), publish_to).result()
        return Completed(message=f"released: {place}", data=place)
    return ending.state
