"""Nights of a real deployment, in a calendar that is simulated, and what befalls them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psutil
import yaml
from prefect.client.schemas.objects import FlowRun

from ptdq.analysis.history import all_points
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from tests.safety.befalls import is_worker, make_inputs
from tests.support.deploying import (
    FILE,
    POOL,
    Installation,
    deployment,
    latest_started,
    read_run,
)
from tests.support.receiver import Messages
from tests.support.running import ROOT, wait_for

MEGABYTES = 600
"""Of the disk that the results are on, where it can be mounted."""
ENDS = 900.0
"""Seconds that a night may take."""

VARIANTS = ["openvino-fp32", "openvino-int8-static"]
"""Those whose processes start fastest: most of a night is the start of its processes."""

LOOK = 1.0
"""Seconds from one look at the server to the next: each costs it, and disturbs what is measured."""

FIRST = "first"
"""Work queue of what is no night."""

EVERY = 20.0
"""Seconds from one run of the schedule to the next: about what a night takes on a fast machine."""


@dataclass
class Seen:
    """A night at its end.

    Attributes:
        event: what befell it; None for nothing.
        name: of the flow run.
        state: that it ended in.
        message: of that state.
        run_id: its directory; None where it was ended before it had one.
    """

    event: str | None
    name: str
    state: str
    message: str
    run_id: str | None


@dataclass
class Nights:
    """An installation with the deployment, on a schedule of ``EVERY``.

    Its work queue is paused between two nights, so that the next run waits until all is as it is to be.
    """

    scratch: Path
    webhook: str
    rounds: int = 4
    seen: list[Seen] = field(default_factory=list)
    small_disk: bool = False
    _known: set[UUID] = field(default_factory=set)

    @property
    def results(self) -> Path:
        return self.scratch / "results"

    @property
    def model(self) -> Path:
        return self.scratch / "model"

    def begin(self) -> None:
        """Model, data, server, automations, deployments, worker."""
        os.environ |= {
            "PTDQ_CACHE": str(self.scratch / "cache"),
            "PTDQ_LOCK": str(self.scratch / "lock"),
            "HF_HUB_OFFLINE": "1",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
        }
        self.results.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(self.results)]
        self.small_disk = subprocess.run(mount, capture_output=True, check=False).returncode == 0
        make_inputs(self.scratch)
        (self.scratch / "prefect").mkdir()
        self.installation = Installation(self.scratch / "prefect")
        subprocess.run(
            [sys.executable, "-m", "deployments.automations", "--webhook", self.webhook,
             "--heartbeat", "60"],
            cwd=ROOT,
            env=self.installation.environment,
            check=True,
        )  # fmt: skip
        self.installation.prefect("work-queue", "create", FIRST, "--pool", POOL, "--priority", "1")
        self._deploy()
        self._deployment = deployment(self.installation, "soak")
        self._retention = deployment(self.installation, "retention", flow="retention")
        self.installation.start_worker()

    def _deploy(self) -> None:
        """The deployments ``nightly``, on a schedule of ``EVERY``, and ``retention``, on none."""
        content = yaml.safe_load((ROOT / FILE).read_text(encoding="utf-8"))
        by_name = {each["name"]: each for each in content["deployments"]}
        nightly, retention = by_name["nightly"], by_name["retention"]
        nightly["name"] = "soak"
        nightly["schedules"] = [{"interval": EVERY, "slug": "soak"}]
        nightly["parameters"] = {
            "model": str(self.model), "data": str(self.scratch / "data.csv"), "max_length": [16],
            "variant": VARIANTS, "repeats": self.rounds, "control_documents": 0,
            "calibration_data": str(self.scratch / "calibration.parquet"),
            "fail_on_regression": True, "results_dir": str(self.results),
        }  # fmt: skip
        del retention["schedules"]
        file = self.scratch / "prefect.yaml"
        file.write_text(yaml.safe_dump(content | {"deployments": [nightly, retention]}), encoding="utf-8")
        self._pause(True)
        self.installation.prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(file))

    def night(
        self, day: datetime, event: str | None, fault: Callable[[UUID], object] | None = None
    ) -> Seen:
        """One run of the schedule, to its end, dated to a day of the calendar.

        Args:
            day: of the calendar.
            event: what befalls it, in words.
            fault: given the flow run once it measures.
        """
        self._pause(False)
        run = wait_for("run of the schedule", self._new_run, seconds=ENDS, every=LOOK)
        self._pause(True)
        if fault is not None and self._measuring(run.id):
            fault(run.id)
        run = wait_for("end of a night", lambda: self._ended(run.id), seconds=ENDS, every=LOOK)
        assert run.state is not None
        wait_for("end of its processes", lambda: not self.of_run(run.id), seconds=120, every=LOOK)
        files = self.files_of(run.id)
        if files is not None:
            date(files, day)
        found = Seen(
            event,
            run.name,
            run.state.type.value,
            str(run.state.message),
            None if files is None else files.run_id,
        )
        self.seen.append(found)
        return found

    def retention(self, older_than: int) -> None:
        """Run the deployment ``retention`` to its end."""
        values = {"results_dir": str(self.results), "older_than": older_than, "cache": False}
        with self.installation.client() as client:
            begun = client.create_flow_run_from_deployment(
                self._retention.id, parameters=values, work_queue_name=FIRST
            )
        done = wait_for("end of retention", lambda: self._ended(begun.id), seconds=ENDS, every=LOOK)
        assert done.state is not None
        assert done.state.is_completed(), done.state.message

    def unaccounted(self) -> list[str]:
        """Nights that neither have figures in the history nor a reason why they are left out."""
        points, left_out = all_points(self.results)
        shown = {point.run_id for point in points}
        return [
            night.name
            for night in self.seen
            if night.run_id is None
            or not (night.run_id in shown or any(night.run_id in reason for reason in left_out))
        ]

    def regressions(self, event: str) -> list[list[str]]:
        """What the nights with an event say has become worse."""
        records = [read_json(RunFiles(self.results / str(n.run_id)).record) for n in self._with(event)]
        return [(record["baseline"] or {}).get("regressions", []) for record in records]

    def told(self, event: str, messages: Messages, seconds: float) -> int:
        """How often the webhook was told of the nights with an event; waits for the first time."""
        names = [night.name for night in self._with(event)]
        found, end = 0, time.monotonic() + seconds
        while time.monotonic() < end and (not found or not messages.empty()):
            with contextlib.suppress(Exception):
                message = messages.get(timeout=5)
                found += any(name in message["body"] for name in names)
        return found

    def restart_server(self) -> None:
        """Kill the server; it comes back."""
        self.installation.kill("server")
        self.installation.start_server()

    def end(self) -> list[psutil.Process]:
        """End the installation; what did not end by itself, or is left."""
        left = []
        if hasattr(self, "installation"):
            left = [*self.installation.stop(), *self.installation.processes()]
        if left:
            print(self.installation.last_words(), file=sys.stderr)
        if self.small_disk:
            subprocess.run(["umount", "--lazy", str(self.results)], check=True)
        return left

    def of_run(self, run_id: UUID) -> list[psutil.Process]:
        """All processes of a flow run; there is one at a time."""
        found = []
        for process in self.installation.processes():
            with contextlib.suppress(psutil.Error):
                own = process.environ().get("PREFECT__FLOW_RUN_ID") == str(run_id) or is_worker(process)
                if own and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def files_of(self, run_id: UUID) -> RunFiles | None:
        """The directory of a flow run, if it has come to its record."""
        for path in self.results.glob("*/run.json"):
            if json.loads(path.read_text(encoding="utf-8")).get("flow_run_id") == str(run_id):
                return RunFiles(path.parent)
        return None

    def _with(self, event: str) -> list[Seen]:
        return [night for night in self.seen if night.event == event and night.run_id is not None]

    def _measuring(self, run_id: UUID) -> bool:
        """Wait until its workers are at work; False where it has ended before."""

        def at_work() -> str | None:
            if self._ended(run_id):
                return "ended"
            workers = [p for p in self.of_run(run_id) if "ptdq.measure.worker" in p.cmdline()]
            return "works" if workers and self.files_of(run_id) else None

        return wait_for("measuring", at_work, seconds=ENDS, every=0.3) == "works"

    def _new_run(self) -> FlowRun | None:
        run = latest_started(self.installation, self._deployment.id)
        if run is None or run.id in self._known:
            return None
        self._known.add(run.id)
        return run

    def _ended(self, run_id: UUID) -> FlowRun | None:
        with contextlib.suppress(Exception):  # the server may be away
            run = read_run(self.installation, run_id)
            return run if run.state is not None and run.state.is_final() else None
        return None

    def _pause(self, paused: bool) -> None:
        """The queue of the nights; that of retention is never paused."""
        with self.installation.client() as client:
            queue = client.read_work_queue_by_name("default", work_pool_name=POOL)
            client.update_work_queue(queue.id, is_paused=paused)


def date(files: RunFiles, day: datetime) -> None:
    """Have a run be one of a day of the calendar."""
    record = read_json(files.record)
    ended = {"ended_at": day.isoformat()} if record.get("ended_at") else {}
    write_json(files.record, record | {"started_at": day.isoformat()} | ended)
    for path in (files.directory, *files.directory.rglob("*")):
        os.utime(path, (day.timestamp(), day.timestamp()))


def size(directory: Path) -> int:
    """Bytes of all files in a directory."""
    return sum(path.lstat().st_size for path in directory.rglob("*") if path.is_file())


def ago(days: int) -> datetime:
    """A day of the calendar: so many before today."""
    return datetime.now(UTC) - timedelta(days=days)
