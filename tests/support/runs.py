"""Made-up runs that differ in what a test plants in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ptdq.store.layout import RunFiles
from tests.support.factory import Factory

ORDINARY = {"status": "completed", "notes": []}


def make_run(
    results: Path,
    run_id: str,
    *,
    seed: int = 0,
    slower: Mapping[str, float] | None = None,
    wrong: Mapping[str, int] | None = None,
    record: Mapping[str, Any] | None = None,
    change: Callable[[Factory], None] = lambda factory: None,
    **shape: Any,
) -> RunFiles:
    """A run of the same documents and labels as every other, with noise of its own in the times.

    Args:
        results: results directory.
        run_id: name of the run.
        seed: of the noise.
        slower: variant to the factor by which its times grow.
        wrong: variant to the number of documents that it now puts in a wrong class.
        record: changes of ``run.json``; of its machine, what differs.
        change: changes the tables first.
        shape: of :class:`Factory`.
    """
    factory = Factory(results / run_id, **shape)
    rng = np.random.default_rng(seed)
    slower, wrong = slower or {}, wrong or {}
    spoiled = {name: set(factory.ids[:count]) for name, count in wrong.items()}
    change(factory)
    for row in factory.tables["predictions"]:
        row["forward_ns"] = int(row["forward_ns"] * rng.lognormal(0, 0.02))
        row["forward_ns"] = int(row["forward_ns"] * slower.get(row["variant"], 1))
        if row["doc_id"] in spoiled.get(row["variant"], ()):
            row["prediction"] = (row["label"] + 1) % len(factory.names)
    for cell in factory.tables["cells"]:
        mine = [
            row["forward_ns"] / 1e6
            for row in factory.tables["predictions"]
            if not row["warmup"]
            and all(row[key] == cell[key] for key in ("variant", "max_length", "repeat"))
        ]
        cell["forward_p50_ms"] = float(np.median(mine))
        cell["total_mean_ms"] = float(np.mean(mine)) + 0.4
    for pair in factory.tables["comparisons"]:
        if pair["baseline"] == factory.variants[0]:
            _speedups(factory, pair)
    changes = {**ORDINARY, **(record or {})}
    machine = factory.record["machine"] | {"cores_usable": [0, 1]} | changes.pop("machine", {})
    factory.record |= {**changes, "machine": machine}
    files = factory.write()
    files.cells.mkdir(exist_ok=True)
    (files.cells / "a-cell.parquet").write_bytes(b"rows of a cell")
    return files


def _speedups(factory: Factory, pair: dict[str, Any]) -> None:
    """The speed-ups of a comparison, from its cells; the ends of their intervals move along."""
    for measure, column in (("speedup", "forward_p50_ms"), ("speedup_total", "total_mean_ms")):
        logs = [
            [
                np.log(cell[column])
                for cell in factory.tables["cells"]
                if (cell["variant"], cell["max_length"]) == (name, pair["max_length"])
            ]
            for name in (pair["baseline"], pair["variant"])
        ]
        now, before = float(np.exp(np.mean(logs[0]) - np.mean(logs[1]))), pair[measure]
        for end in ("", "_low", "_high"):
            if pair[f"{measure}{end}"] is not None:
                pair[f"{measure}{end}"] *= now / before


def confound(why: str) -> Callable[[Factory], None]:
    """The timings of the first comparison are confounded."""

    def change(factory: Factory) -> None:
        factory.tables["comparisons"][0]["confounded"] = why

    return change
