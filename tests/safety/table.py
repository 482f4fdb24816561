"""The tables of faults and of attacks: rows that the tests tell, kept in a file, shown in the docs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results.json"
NOT_KEPT = "No run of these is kept yet."
SOAK = Path(__file__).parent / "soak.json"
"""What the last soak found."""
TELL = "PTDQ_SAFETY_ROWS"
"""Environment variable: the file that rows are appended to, one JSON object a line; none by default."""


def tell(table: str, **row: Any) -> None:
    """Add a row to a table, where somebody collects them. To be called once all was checked."""
    if path := os.environ.get(TELL):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"table": table, **row}, ensure_ascii=False) + "\n")


def told(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows that were told, by table."""
    tables: dict[str, list[dict[str, Any]]] = {"faults": [], "attacks": []}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        tables[row.pop("table")].append(row)
    return tables


def faults(found: Mapping[str, Any]) -> str:
    """The faults in Markdown."""
    if not found["faults"]:
        return NOT_KEPT
    heads = ["fault", "processes", "sockets", "finished cells", "record after", "then"]
    rows = [
        [
            row["fault"],
            f"{row['processes'][0]} → {row['processes'][1]}",
            f"{row['sockets'][0]} → {row['sockets'][1]}",
            f"{row['cells'][0]} → {row['cells'][1]}",
            row["record"],
            row["then"],
        ]
        for row in found["faults"]
    ]
    return _table(heads, rows)


def attacks(found: Mapping[str, Any]) -> str:
    """The attacks in Markdown."""
    return _table(["attack", "result"], [[row["attack"], row["result"]] for row in found["attacks"]])


def soak(path: Path = SOAK) -> str:
    """What the last soak found, in Markdown."""
    if not path.is_file():
        return NOT_KEPT
    found = json.loads(path.read_text(encoding="utf-8"))
    states = ", ".join(f"{count} {name.lower()}" for name, count in sorted(found["states"].items()))
    rows = [
        ["nights", f"{found['nights']} of {found['asked']}, in {found['hours']:.1f} hours"],
        ["faults", str(sum(found["events"].values()))],
        ["ended as", states],
        ["processes and sockets left", f"{len(found['processes_left'])} and {found['sockets_left']}"],
        ["nights missing from the history", str(len(found["unaccounted"]))],
        ["the worse model told", f"{found['worse_told']} time"],
        ["the slower machine called a regression", "yes" if any(found["slower_regressions"]) else "no"],
        ["results, MB", f"{found['results_bytes'] / 1e6:.1f}"],
        ["Prefect's files, MB", f"{found['prefect_bytes'] / 1e6:.1f}"],
        ["cache, MB", f"{found['cache_bytes'] / 1e6:.1f}"],
    ]
    where = f"Commit `{found['git_commit']}`, {found['machine']['cpu']}, {found['ended_at']}:"
    return f"{where}\n\n{_table(['', ''], rows)}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)
