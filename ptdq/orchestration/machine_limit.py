"""The machine's lock, and a global concurrency limit of Prefect's server with it, where there is one.

A server knows a machine where it has a global concurrency limit of its name, ``ptdq-HOST``
(``prefect global-concurrency-limit create ptdq-$(hostname) --limit 1``). A run then takes a slot of it
before the lock, so that the server shows who has the machine, and runs of containers that do not see each
other's lock wait as well. Without such a limit, and without the server, the lock alone holds.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

import httpx
from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from ptdq.errors import UserError
from ptdq.host.lock import MachineLock

LEASE = 60.0
"""Seconds after which the server takes back the slot of a run that was killed: the least it allows."""

_TRY = 5.0
"""Seconds of one try; between tries a run that is cancelled can end."""


def limit_name() -> str:
    """Name of this machine's limit: letters, digits, dots and dashes."""
    return f"ptdq-{re.sub(r'[^A-Za-z0-9.-]', '-', socket.gethostname())}"


class ServerLock(MachineLock):
    """The machine's lock, taken after a slot of the server's limit and released before it."""

    def __init__(self) -> None:
        super().__init__()
        self._slot = ExitStack()

    def acquire(
        self,
        run_id: str,
        say: Callable[[str], None] = lambda text: None,
        max_wait: float | None = None,
        pause: float = 2.0,
    ) -> None:
        """As :meth:`MachineLock.acquire`; ``max_wait`` is for both."""
        if self.held:
            return
        started = time.monotonic()
        if _known():
            self._take_slot(say, max_wait)
        if max_wait is not None:
            max_wait = max(0.0, max_wait - (time.monotonic() - started))
        try:
            super().acquire(run_id, say, max_wait, pause)
        except BaseException:
            self._slot.close()
            raise

    def release(self) -> None:
        """Let the next run have the machine."""
        super().release()
        self._slot.close()

    def _take_slot(self, say: Callable[[str], None], max_wait: float | None) -> None:
        """Wait for a slot.

        Raises:
            UserError: there was none in time.
        """
        name, started, said = limit_name(), time.monotonic(), False
        while True:
            waited = time.monotonic() - started
            try:
                self._slot.enter_context(
                    concurrency(
                        name,
                        occupy=1,
                        timeout_seconds=_TRY if max_wait is None else min(_TRY, max_wait - waited + 0.1),
                        lease_duration=LEASE,
                        # The lock of the machine holds on while the server is away.
                        raise_on_lease_renewal_failure=False,
                    )
                )
            except TimeoutError as error:
                waited = time.monotonic() - started
                if max_wait is not None and waited >= max_wait:
                    raise UserError(
                        f"another run has the server's limit {name}; wait for it, or allow more time "
                        "(max_wait)"
                    ) from error
                if not said:
                    said = True
                    say(f"waiting: another run has the server's limit {name}")
            else:
                if said:
                    say(f"the limit {name} is free after {time.monotonic() - started:.0f} s")
                return


def _known() -> bool:
    """Whether the server has a limit for this machine; False where it cannot be asked."""
    try:
        with get_client(sync_client=True) as client:
            client.read_global_concurrency_limit_by_name(limit_name())
    except (ObjectNotFound, PrefectHTTPStatusError, httpx.TransportError):
        return False
    return True
