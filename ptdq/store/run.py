"""What a run left on disk, read for the report. Files that are absent read as empty."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar, cast

import pandas as pd
import pyarrow as pa

from ptdq.problem.task import SINGLE, TASKS, Task
from ptdq.store import record
from ptdq.store.cell_rows import CellPlace, CellRows
from ptdq.store.layout import RunFiles
from ptdq.store.record_model import RunRecord
from ptdq.store.rows import CellRow, ComparisonRow, MeasureRow, VariantRow
from ptdq.store.schema import names, table_of
from ptdq.store.tables import read_pieces, read_table
from ptdq.variant_names import is_earlier

R = TypeVar("R")

_CELL = ["variant", "max_length", "repeat"]
_CALL = ["tokens", "documents", "position", "forward_ns"]
_MOST_CALLS = 10_000


@dataclass(frozen=True)
class Run:
    """The tables of a run and its record.

    Attributes:
        files: where they lie.
        record: ``run.json``.
    """

    files: RunFiles
    record: RunRecord

    @cached_property
    def _plain(self) -> dict[str, Any]:
        return self.record.model_dump(mode="json")

    def get(self, *path: str, default: Any = None) -> Any:
        """``record.a.b…`` as plain JSON, or ``default`` where a step is missing or null.

        To be removed: new code reads :attr:`record`, whose fields are checked.
        """
        value: Any = self._plain
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return default if value is None else value

    def rows(self, kind: type[R]) -> list[R]:
        """A small table as rows; what is null, not finite, or not in a file of an older version, is None.

        Args:
            kind: class of the rows, one of :mod:`ptdq.store.rows`.
        """
        table = table_of(kind)
        if table not in self._read_already:
            self._read_already[table] = self._read(table, names(kind))
        return cast(list[R], self._read_already[table])

    @cached_property
    def _read_already(self) -> dict[str, list[dict[str, Any]]]:
        return {}

    def _read(self, table: str, columns: list[str]) -> list[dict[str, Any]]:
        path = self.files.table(table)
        if not path.is_file():
            return []
        missing = dict.fromkeys(columns)
        return [
            missing | {key: _clean(value) for key, value in row.items()}
            for row in read_table(path).to_pylist()
        ]

    @cached_property
    def calls(self) -> pd.DataFrame:
        """One row a forward pass (a batch) of variants with figures, warm-up included.

        For plots, and the share of the core's limit: of long cells, every second, third, … batch. Cells
        for quality are left out.
        """
        rows = self.timed
        cells = [
            cell
            for cell in (rows.cells if rows is not None else ())
            if cell.variant in self.measured_variants and cell.repeat >= 0
        ]
        if rows is None or not cells:
            return pd.DataFrame(columns=[*_CELL, "batch", "warmup", *_CALL, "forward_ms"])
        last = max(
            pa.compute.max(piece["batch"]).as_py()
            for cell in cells
            for piece in rows.pieces(cell, ["batch"], warmup=True)
        )
        every = -(-int(last + 1) // _MOST_CALLS)
        places: dict[tuple[str, int, int], list[CellPlace]] = {}
        for cell in cells:
            places.setdefault((cell.variant, cell.max_length, cell.repeat), []).append(cell)
        parts = [_calls(rows, places[place], every) for place in sorted(places)]
        frame: pd.DataFrame = pd.concat(parts, ignore_index=True)
        return frame.assign(forward_ms=frame["forward_ns"] / 1e6)

    @cached_property
    def timed(self) -> CellRows | None:
        """Rows of the cells whose times count, a cell at a time; None where they are dropped."""
        path = self.files.table("predictions")
        return CellRows(path, "timing") if path.is_file() else None

    @cached_property
    def answered(self) -> CellRows | None:
        """The same of those that quality is taken from."""
        path = self.files.table("predictions")
        return CellRows(path, "quality") if path.is_file() else None

    def texts(self, doc_ids: Sequence[str]) -> dict[str, str]:
        """Texts of some documents by their id, of a pair both; none where the documents are dropped."""
        path = self.files.table("documents")
        if not path.is_file():
            return {}
        wanted = pa.array(doc_ids, pa.string())
        found: dict[str, str] = {}
        for piece in read_pieces(path):
            rows = piece.filter(pa.compute.is_in(piece["doc_id"], wanted))
            texts, ids = rows["text"].to_pylist(), rows["doc_id"].to_pylist()
            seconds = rows["pair"].to_pylist() if "pair" in rows.column_names else [None] * len(ids)
            for doc_id, text, second in zip(ids, texts, seconds, strict=True):
                found[doc_id] = text if second is None else f"{text} | {second}"
        return found

    @cached_property
    def finished(self) -> list[CellRow]:
        """Cells with figures, in the order of variant, length and repeat."""
        cells = [row for row in self.rows(CellRow) if row["status"] == "ok"]
        rank = {name: place for place, name in enumerate(self.variants)}
        return sorted(cells, key=lambda r: (rank[r["variant"]], r["max_length"], r["repeat"]))

    @cached_property
    def good(self) -> list[CellRow]:
        """Those of them whose times count."""
        return [row for row in self.finished if row["kind"] != "quality"]

    @cached_property
    def judged(self) -> list[CellRow]:
        """Those of them that quality is taken from: the same, where no cell is for quality alone."""
        return [row for row in self.finished if row["kind"] == "quality"] or self.good

    @cached_property
    def failed(self) -> list[CellRow]:
        """Cells without figures."""
        return [row for row in self.rows(CellRow) if row["status"] != "ok"]

    @cached_property
    def variants(self) -> list[str]:
        """Variants that left anything, the baseline first, then as asked for."""
        known = {row["variant"] for row in self.rows(CellRow)}
        known |= {row["variant"] for row in self.rows(VariantRow)}
        asked = [name for name in self.record.parameters.get("variant") or [] if name in known]
        ordered = list(dict.fromkeys([*asked, *sorted(known)]))
        return sorted(ordered, key=lambda name: name != self._baseline(ordered))

    def _baseline(self, ordered: list[str]) -> str | None:
        rows = self.rows(ComparisonRow)
        compared = [row["baseline"] for row in rows if not is_earlier(row["baseline"])]
        if compared:
            return max(set(compared), key=compared.count)
        return "fp32" if "fp32" in ordered else next(iter(ordered), None)

    @cached_property
    def baseline(self) -> str | None:
        """The variant that the others are compared with."""
        return next(iter(self.variants), None)

    def check_figures(self) -> None:
        """Read what a history needs of the run, so that what is wrong with it is found here.

        Raises:
            UserError: a table is damaged; what is in it may raise anything.
        """
        self.rows(ComparisonRow)
        self.rows(VariantRow)
        _ = self._plain, self.good, self.variants, self.lengths, self.baseline

    @cached_property
    def measured_variants(self) -> list[str]:
        """Variants with at least one good cell."""
        return list(dict.fromkeys(row["variant"] for row in self.good))

    @cached_property
    def lengths(self) -> list[int]:
        """Maximum lengths that were run."""
        return sorted({row["max_length"] for row in self.rows(CellRow)})

    @property
    def decision(self) -> str:
        """The verdict's words, to be followed by the variant where there is one."""
        verdict = self.record.verdict
        if verdict is None:
            return "none reached"
        unsure = verdict.decision == "can't tell" and verdict.variant
        return "can't tell whether to ship" if unsure else verdict.decision

    @property
    def random_weights(self) -> bool:
        """Whether the model predicts nothing, so that quality must not be claimed."""
        return self.record.model.random_weights

    @cached_property
    def quality(self) -> bool:
        """Whether quality is claimed."""
        if self.random_weights:
            return False
        return any(row["f1_weighted"] is not None for row in self.judged) or bool(self.rows(MeasureRow))

    @property
    def task(self) -> Task:
        """What the model answers."""
        return next((task for task in TASKS if task == self.record.model.task), SINGLE)

    def class_name(self, class_id: int) -> str:
        """The name of a class, or its id where the model has none."""
        labels = self.record.model.labels
        return labels[class_id] if 0 <= class_id < len(labels) else str(class_id)

    def cell_id(self, cell: CellRow) -> str | None:
        """The id that the design gave a cell; files of the cell are named by it."""
        design = self.record.design
        for planned in (*design.cells, *design.quality):
            place = (planned.variant, planned.max_length, planned.repeat)
            if place == (cell["variant"], cell["max_length"], cell["repeat"]):
                return planned.cell_id
        return None


def load(files: RunFiles) -> Run:
    """Read the record of a run; tables are read when a section asks for them.

    Raises:
        UserError: there is no ``run.json``, it is damaged, or of a newer schema version.
    """
    return Run(files, record.read(files))


def _calls(rows: CellRows, cells: Sequence[CellPlace], every: int) -> pd.DataFrame:
    """The batches of the cells of one round, each in a row; every second, third, … where asked."""
    columns = ["batch", "warmup", "tokens", "position", "forward_ns"]
    parts = []
    for piece in (piece for cell in cells for piece in rows.pieces(cell, columns, warmup=True)):
        kept = (piece["batch"].to_numpy() % every == 0) | piece["warmup"].to_numpy()
        parts.append(piece.filter(pa.array(kept)))
    frame: pd.DataFrame = pa.concat_tables(parts).to_pandas().sort_values("position")
    grouped = frame.groupby(["batch", "warmup"], sort=True)
    calls: pd.DataFrame = grouped.agg(
        tokens=("tokens", "max"),
        documents=("position", "size"),
        position=("position", "min"),
        forward_ns=("forward_ns", "first"),
    ).reset_index()
    of = cells[0]
    return calls.assign(variant=of.variant, max_length=of.max_length, repeat=of.repeat)


def cell_rows(cells: list[CellRow], variant: str, length: int) -> list[CellRow]:
    """The rounds of one variant at one maximum length."""
    return [row for row in cells if row["variant"] == variant and row["max_length"] == length]


def round_name(repeat: int) -> str:
    """Which of its cells, in words."""
    return f"repeat {repeat}" if repeat >= 0 else "for quality"


def parsed(text: str | None) -> Any:
    """The value of a JSON column, or None."""
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


def _clean(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
