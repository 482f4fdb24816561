"""What a section is given: the run, and how to refer to files beside the report."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ptdq.report.markdown import code
from ptdq.store.rows import CellRow
from ptdq.store.run import Run, round_name


@dataclass(frozen=True)
class Page:
    """One rendering of the report.

    Attributes:
        run: the run.
        plots: plots that were drawn, by name.
        inlined: whether the text must stand alone: plots embedded, files named by their path.
    """

    run: Run
    plots: Mapping[str, Path]
    inlined: bool = False

    def plot(self, name: str, description: str) -> str:
        """The plot as an image, or nothing where it was not drawn."""
        path = self.plots.get(name)
        if path is None:
            return ""
        if self.inlined:
            data = base64.b64encode(path.read_bytes()).decode()
            return f"![{description}](data:image/png;base64,{data})"
        return f"![{description}]({path.relative_to(self.run.files.directory).as_posix()})"

    def file(self, path: Path) -> str:
        """A link to a file of the run; its path alone where a relative link leads nowhere."""
        if self.inlined:
            return code(path.absolute())
        name = path.relative_to(self.run.files.directory).as_posix()
        return f"[{name}]({name})"


def cell_name(cell: CellRow) -> str:
    """A cell in words, as Markdown."""
    return f"{code(cell['variant'])}, length {cell['max_length']}, {round_name(cell['repeat'])}"
