"""A cancel by Prefect, heeded by a run of the command line.

``prefect flow-run cancel`` and Cancel in the UI only mark a flow run; its worker or runner ends the
process then. A run of ``ptdq run`` has neither, so it looks itself.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import PrefectException, TerminationSignal

LOOK_SECONDS = 10.0
"""Between two looks: one request to the server each, which costs a core some 0.1 % of its time."""


class CancelledByUser(Exception):
    """The flow run was cancelled in Prefect, and all within it has ended."""


@contextmanager
def heeded(flow_run: FlowRun | None) -> Iterator[None]:
    """Within the block, a cancel of the flow run ends it as SIGTERM does.

    Nothing is done for a run of a deployment, whose worker does it, nor outside the main thread, which
    alone gets signals.

    Raises:
        CancelledByUser: in place of what ended the block, where that was a cancel.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if flow_run is None or flow_run.deployment_id is not None or not in_main_thread:
        yield
        return
    over, cancelled = threading.Event(), threading.Event()
    # In a copy of this context, which knows the server of this run.
    watch = threading.Thread(
        target=copy_context().run,
        args=(_watch, flow_run.id, cancelled, over),
        name="cancel",
        daemon=True,
    )
    watch.start()
    try:
        yield
    except TerminationSignal:
        if cancelled.is_set():
            raise CancelledByUser from None
        raise
    finally:
        over.set()


def _watch(flow_run_id: UUID, cancelled: threading.Event, over: threading.Event) -> None:
    with get_client(sync_client=True) as client:
        while not over.wait(LOOK_SECONDS):
            # A server that is away cancels nothing.
            with suppress(HTTPError, PrefectException):
                state = client.read_flow_run(flow_run_id).state
                if state is not None and (state.is_cancelling() or state.is_cancelled()):
                    if not over.is_set():
                        cancelled.set()
                        os.kill(os.getpid(), signal.SIGTERM)
                    return
