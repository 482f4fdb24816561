"""The terminal of a command that runs a flow: calm, unless the user asks for everything."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ptdq.host.terminal import Terminal, calm


@contextmanager
def shown(verbose: bool) -> Iterator[None]:
    """Within the block the terminal shows how far the run is, and warnings of ours.

    Args:
        verbose: show instead what Prefect, the libraries and the flow log.
    """
    if verbose:
        yield
        return
    with calm() as terminal:
        # Takes seconds, and configures logging anew, which would drop the handler below.
        import prefect.main

        notes = _Notes(terminal, Path(prefect.__file__).parent)
        loggers = [logging.getLogger(name) for name in ("prefect.flow_runs", "prefect.task_runs")]
        for logger in loggers:
            logger.addHandler(notes)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeHandler(notes)


class _Notes(logging.Handler):
    """Shows what our code warns of, by the loggers of the run; Prefect says there how runs ended."""

    def __init__(self, terminal: Terminal, prefect: Path) -> None:
        super().__init__(logging.WARNING)
        self._terminal, self._prefect = terminal, prefect

    def emit(self, record: logging.LogRecord) -> None:
        if self._prefect not in Path(record.pathname).parents:
            self._terminal.note(record.getMessage())
