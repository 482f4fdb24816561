"""From a model and documents to the files of a study; the work is done in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ptdq.errors import RunFailed, UserError
from ptdq.host.process import run_child
from ptdq.sensitivity.child import USER_ERROR_STATUS
from ptdq.sensitivity.request import StudyRequest
from ptdq.store.cache import cache_root
from ptdq.store.rows_beyond import SensitivityRow
from ptdq.store.tables import read_table, table_metadata

TABLE = "sensitivity.parquet"


@dataclass(frozen=True)
class Found:
    """What a study found.

    Attributes:
        rows: of the table ``sensitivity``, most harmful first.
        kept: names that stay in float.
        tried: sets of names that were evaluated for that.
        main: main measure of the float model.
        groups: documents that the choice was made on, those that belong together counted as one.
        enough: whether they could show the margin at all, were no prediction changed; else nothing was
            chosen.
        nothing_lost: what they show then.
        everything: how the model does with everything quantized (``int8-dynamic``).
        chosen: how it does with ``kept`` in float (``int8-dynamic-mixed``).
    """

    rows: list[SensitivityRow]
    kept: list[str]
    tried: int
    main: float
    groups: int
    enough: bool
    nothing_lost: dict[str, Any]
    everything: dict[str, Any]
    chosen: dict[str, Any]

    @property
    def nothing_left(self) -> bool:
        """Whether all would have to stay in float: then there is nothing to gain."""
        return len(self.kept) == len(self.rows)


def find_sensitivity(
    request: StudyRequest, timeout: float, on_progress: Callable[[int], None] = lambda done: None
) -> Found:
    """Study a model in a process of its own; its table is then where the request asks for it.

    Raises:
        UserError: nothing can be quantized, or there is nothing to keep a share of.
        RunFailed: the process died or exceeded its time limit; nothing is written.
    """
    log = cache_root() / "logs" / f"{request.sensitivity_id}.log"
    with tempfile.TemporaryDirectory(prefix="ptdq-") as scratch:
        ended = run_child(
            "ptdq.sensitivity.child",
            asdict(request),
            Path(scratch) / "request.json",
            log,
            threads=1,
            timeout=timeout,
            on_progress=on_progress,
        )
    if ended.returncode == USER_ERROR_STATUS and ended.reason:
        raise UserError(ended.reason)
    if ended.reason:
        raise RunFailed(f"sensitivity: {ended.reason}; its log is {log}")
    return read_found(Path(request.result).parent)


def read_found(directory: Path) -> Found:
    """The study in ``directory``.

    Raises:
        UserError: there is none.
    """
    table = read_table(directory / TABLE)
    return Found(rows=table.to_pylist(), **table_metadata(table))
