"""Automations of a self-hosted Prefect server, as code: ``python -m deployments.automations --help``.

Run it again to change them; what is there under the same names is replaced.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import click
from prefect.automations import Automation
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.settings import get_current_settings
from prefect.types import SecretDict

FLOWS = ["quantization-benchmark", "benchmark-matrix", "sharded-evaluation", "release", "retention"]
ZOMBIES = "ptdq: runs that died are Crashed"
NOTICE = "ptdq: notice of a failed run"
WEBHOOK = "ptdq-webhook"

_RUNS = {"prefect.resource.id": "prefect.flow-run.*"}
_OF_THE_FLOWS = {"prefect.resource.role": "flow", "prefect.resource.name": FLOWS}


def zombies(heartbeat: int) -> Automation:
    """Mark a run Crashed once its heartbeat stays away: killed, or its machine gone.

    Prefect's own recipe (docs.prefect.io, "Detect zombie flows"), for runs of the flows of ptdq.

    Args:
        heartbeat: seconds between two heartbeats of a run, as its deployment or its worker has it set
            (PREFECT_FLOWS_HEARTBEAT_FREQUENCY; without it none is sent, and no run is seen to die);
            three may be missing.
    """
    last = {f"prefect.flow-run.{name}" for name in ("Completed", "Failed", "Cancelled", "Crashed")}
    return Automation(
        name=ZOMBIES,
        description="No heartbeat for three times its interval.",
        trigger=EventTrigger(
            posture=Posture.Proactive,
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat"} | last,
            match=ResourceSpecification(cast(Any, _RUNS)),
            match_related=ResourceSpecification(cast(Any, _OF_THE_FLOWS)),
            for_each={"prefect.resource.id"},
            threshold=1,
            within=timedelta(seconds=3 * heartbeat),
        ),
        actions=[
            ChangeFlowRunState(
                name="Crashed",
                state=StateType.CRASHED,
                message="its heartbeat stopped: killed, or its machine is gone; "
                "go on with `ptdq run --resume`, or the same --run-id of a matrix or evaluation",
                force=False,
            )
        ],
    )


def notice(block_document_id: UUID) -> Automation:
    """Send what a run failed with, a gate above all, to the webhook."""
    return Automation(
        name=NOTICE,
        description="A gate failed, the run failed, or it died.",
        trigger=EventTrigger(
            posture=Posture.Reactive,
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
            match=ResourceSpecification(cast(Any, _RUNS)),
            match_related=ResourceSpecification(cast(Any, _OF_THE_FLOWS)),
            for_each={"prefect.resource.id"},
            threshold=1,
            within=timedelta(0),
        ),
        actions=[
            SendNotification(
                block_document_id=block_document_id,
                subject="{{ flow.name }}: {{ flow_run.state.name }}",
                body="{{ deployment.name }}, run {{ flow_run.name }}: {{ flow_run.state.message }}\n"
                "{{ flow_run|ui_url }}",
            )
        ],
    )


def webhook_block(url: str) -> CustomWebhookNotificationBlock:
    """What posts ``subject`` and ``body`` as JSON to ``url``.

    The address of a chat's webhook is its password: it is kept as a secret, which the API does not show.
    """
    return CustomWebhookNotificationBlock(
        name=WEBHOOK,
        url="{{address}}",
        secrets=SecretDict({"address": url}),
        headers=None,
        cookies=None,
        # `text` is what Slack, Mattermost and their like show.
        json_data={"subject": "{{subject}}", "body": "{{body}}", "text": "{{subject}}: {{body}}"},
    )


def webhook(url: str) -> UUID:
    """The block of that address, made or changed on the server.

    A block of Slack, mail or another kind does as well: take its id for :func:`notice`.
    """
    return cast(UUID, webhook_block(url).save(WEBHOOK, overwrite=True))


def replace(automation: Automation) -> None:
    """Make the automation, in the place of those that have its name."""
    with get_client(sync_client=True) as client:
        for old in client.read_automations_by_name(automation.name):
            client.delete_automation(old.id)
    automation.create()


@click.command()
@click.option(
    "--webhook",
    "url",
    metavar="URL",
    envvar="PTDQ_WEBHOOK",
    help="URL that gets a POST for each failed run; PTDQ_WEBHOOK keeps it out of the list of processes.",
)
@click.option(
    "--heartbeat",
    type=click.IntRange(min=30),
    help="Seconds between heartbeats of a run, as deployments and workers have it set, or more "
    "[default: PREFECT_FLOWS_HEARTBEAT_FREQUENCY here, else 180].",
)
def main(url: str | None, heartbeat: int | None) -> None:
    """Make the automations on the Prefect server that PREFECT_API_URL names."""
    replace(zombies(heartbeat or get_current_settings().flows.heartbeat_frequency or 180))
    if url is not None:
        replace(notice(webhook(url)))


if __name__ == "__main__":
    main()
