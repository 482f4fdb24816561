"""What a run left on disk, read for the report. Files that are absent read as empty."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from ptdq.store import record
from ptdq.store.layout import RunFiles
from ptdq.store.record_model import RunRecord
from ptdq.store.schema import schema
from ptdq.store.tables import read_table

Row = dict[str, Any]

_CELL = ["variant", "max_length", "repeat"]
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

    def rows(self, table: str) -> list[Row]:
        """A small table as rows; null and NaN are None."""
        return self._rows[table]

    @cached_property
    def _rows(self) -> dict[str, list[Row]]:
        small = ("cells", "classes", "variants", "comparisons", "buckets", "interference")
        return {name: self._read(name) for name in small}

    def _read(self, table: str) -> list[Row]:
        path = self.files.table(table)
        if not path.is_file():
            return []
        rows: list[Row] = read_table(path).to_pylist()
        return [{key: _clean(value) for key, value in row.items()} for row in rows]

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row a document and cell, warm-up included; logits stay on disk."""
        unused = ("logits", "run_id", "order", "core")
        columns = [name for name in schema("predictions").names if name not in unused]
        path = self.files.table("predictions")
        if not path.is_file():
            empty: pd.DataFrame = schema("predictions").empty_table().select(columns).to_pandas()
            return empty
        frame: pd.DataFrame = read_table(path, columns).to_pandas()
        return frame.sort_values([*_CELL, "position"], ignore_index=True)

    @cached_property
    def measured(self) -> pd.DataFrame:
        """Predictions without warm-up."""
        return self.predictions[~self.predictions["warmup"].astype(bool)]

    @cached_property
    def calls(self) -> pd.DataFrame:
        """One row a forward pass (a batch) of variants with figures, warm-up included.

        For plots, and the share of the core's limit: of long cells, every second, third, … batch.
        """
        rows = self.predictions[self.predictions["variant"].isin(self.measured_variants)]
        every = -(-int(rows["batch"].max() + 1) // _MOST_CALLS) if len(rows) else 1
        rows = rows[(rows["batch"] % every == 0) | rows["warmup"].astype(bool)]
        grouped = rows.groupby([*_CELL, "batch", "warmup"], sort=True)
        frame = grouped.agg(
            tokens=("tokens", "max"),
            documents=("doc_id", "size"),
            position=("position", "min"),
            forward_ns=("forward_ns", "first"),
        ).reset_index()
        return frame.assign(forward_ms=frame["forward_ns"] / 1e6)

    @cached_property
    def texts(self) -> dict[str, str]:
        """Document id to text."""
        path = self.files.table("documents")
        if not path.is_file():
            return {}
        columns = read_table(path, ["doc_id", "text"]).to_pydict()
        return dict(zip(columns["doc_id"], columns["text"], strict=True))

    @cached_property
    def good(self) -> list[Row]:
        """Cells with figures, in the order of variant, length and repeat."""
        cells = [row for row in self.rows("cells") if row["status"] == "ok"]
        rank = {name: place for place, name in enumerate(self.variants)}
        return sorted(cells, key=lambda r: (rank[r["variant"]], r["max_length"], r["repeat"]))

    @cached_property
    def failed(self) -> list[Row]:
        """Cells without figures."""
        return [row for row in self.rows("cells") if row["status"] != "ok"]

    @cached_property
    def variants(self) -> list[str]:
        """Variants that left anything, the baseline first, then as asked for."""
        found = {row["variant"] for name in ("cells", "variants") for row in self.rows(name)}
        asked = [name for name in self.record.parameters.get("variant") or [] if name in found]
        ordered = list(dict.fromkeys([*asked, *sorted(found)]))
        return sorted(ordered, key=lambda name: name != self._baseline(ordered))

    def _baseline(self, names: list[str]) -> str | None:
        compared = [row["baseline"] for row in self.rows("comparisons")]
        if compared:
            return str(max(set(compared), key=compared.count))
        return "fp32" if "fp32" in names else next(iter(names), None)

    @cached_property
    def baseline(self) -> str | None:
        """The variant that the others are compared with."""
        return next(iter(self.variants), None)

    @cached_property
    def measured_variants(self) -> list[str]:
        """Variants with at least one good cell."""
        return list(dict.fromkeys(row["variant"] for row in self.good))

    @cached_property
    def lengths(self) -> list[int]:
        """Maximum lengths that were run."""
        return sorted({row["max_length"] for row in self.rows("cells")})

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
        return not self.random_weights and any(row["f1_weighted"] is not None for row in self.good)

    def class_name(self, class_id: int) -> str:
        """The name of a class, or its id where the model has none."""
        labels = self.record.model.labels
        return labels[class_id] if 0 <= class_id < len(labels) else str(class_id)

    def cell_id(self, cell: Row) -> str | None:
        """The id that the design gave a cell; files of the cell are named by it."""
        for planned in self.record.design.cells:
            if all(getattr(planned, key) == cell[key] for key in _CELL):
                return planned.cell_id
        return None


def load(files: RunFiles) -> Run:
    """Read the record of a run; tables are read when a section asks for them.

    Raises:
        UserError: there is no ``run.json``, it is damaged, or of a newer schema version.
    """
    return Run(files, record.read(files))


def cell_rows(cells: list[Row], variant: str, length: int) -> list[Row]:
    """The rounds of one variant at one maximum length."""
    return [row for row in cells if row["variant"] == variant and row["max_length"] == length]


def parsed(text: str | None) -> Any:
    """The value of a JSON column, or None."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _clean(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
