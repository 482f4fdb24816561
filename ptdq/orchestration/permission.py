"""Which code a deployment's parameters may name: that which this machine allows, and no other.

Whoever reaches Prefect's API may start a run with parameters of their choice, and some parameters are
code: a loader of models, a variant of one's own, what comes with a checkpoint. From the command line and
from Python these are the words of somebody who can run code here anyway; from the API they are not.
"""

from __future__ import annotations

import os

from prefect.client.schemas.objects import FlowRun

from ptdq.errors import UserError
from ptdq.parameters import Parameters

ALLOW = "PTDQ_ALLOW_CODE"
"""Environment variable of the machine that runs: what is allowed, separated by commas."""

REMOTE_CODE = "trust_remote_code"
"""Stands among the modules for code that comes with a checkpoint."""


def check_code(parameters: Parameters, flow_run: FlowRun | None) -> None:
    """That a run of a deployment names no code but what this machine allows.

    Args:
        parameters: of the run.
        flow_run: of Prefect; one of no deployment was started on this machine, and may name any.

    Raises:
        UserError: it names other code; nothing was imported yet.
    """
    if flow_run is None or flow_run.deployment_id is None:
        return
    allowed = [entry.strip() for entry in os.environ.get(ALLOW, "").split(",") if entry.strip()]
    for name, module in _named_code(parameters):
        if not any(module == entry or module.startswith(f"{entry}.") for entry in allowed):
            raise UserError(
                f"{name}: a deployment may not run code that its machine does not allow; set "
                f"{ALLOW}={','.join([*allowed, module])} where the worker runs, or use the command line"
            )


def _named_code(parameters: Parameters) -> list[tuple[str, str]]:
    """What names code, in words, with its module."""
    named = [(f"variant '{name}'", name) for name in parameters.variant if ":" in name]
    if parameters.model_loader is not None:
        named.append((f"model_loader '{parameters.model_loader}'", parameters.model_loader))
    modules = [(what, place.partition(":")[0]) for what, place in named]
    if parameters.trust_remote_code:
        modules.append((REMOTE_CODE, REMOTE_CODE))
    return modules
