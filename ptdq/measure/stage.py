"""The stage of a run that measures: what its cells have in common, one of them, and all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptdq.errors import RunFailed
from ptdq.host.clock import TimeLimit
from ptdq.host.futures import Future, run_queues
from ptdq.inputs.documents import Documents
from ptdq.inputs.stored import stored_tokens, write_selection
from ptdq.measure.cell import Outcome, Work, measure_cell
from ptdq.measure.design import Cell, Design
from ptdq.measure.progress import Board, Progress
from ptdq.measure.queries import choose_timing_queries
from ptdq.measure.selection import choose_timing_documents
from ptdq.parameters import Parameters
from ptdq.problem.task import SINGLE, Task, logit
from ptdq.store.layout import RunFiles
from ptdq.store.tables import read_table
from ptdq.variants.artifact import Artifact
from ptdq.variants.preparation import PreparedVariant

Queues = Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Stage:
    """What all cells of a run have in common.

    Attributes:
        files: of the run.
        artifacts: by variant.
        documents: file of the schema ``documents``.
        count: number of documents.
        timing_documents: file of those that time is measured on, perhaps the same.
        timing_count: number of these.
        control_documents: number of these that a cell of the control evaluates.
        batch_size: documents in a batch.
        warmup: batches that a cell runs before, and flags.
        timeout: seconds that one cell may take.
        together: how many cells of one place in the design begin at once.
        task: what the model answers.
        cut: output over which the answer of a task with a threshold is yes.
    """

    files: RunFiles
    artifacts: Mapping[str, Artifact]
    documents: Path
    count: int
    timing_documents: Path
    timing_count: int
    control_documents: int
    batch_size: int
    warmup: int
    timeout: float
    together: int = 1
    task: Task = SINGLE
    cut: float = 0.0

    def documents_of(self, cell: Cell) -> int:
        """Number of documents that a cell evaluates."""
        if cell.kind == "quality":
            return self.count
        return self.control_documents if cell.in_control else self.timing_count

    def documents_of_all(self, cells: Iterable[Cell]) -> dict[str, int]:
        """The same of some cells, by their id."""
        return {cell.cell_id: self.documents_of(cell) for cell in cells}

    def measure(self, cell: Cell, on_progress: Callable[[int], None] = lambda done: None) -> Outcome:
        """Measure one cell in a fresh process on its core, unless its result is there already.

        Args:
            cell: which one.
            on_progress: called with the number of documents done, about twice a second.

        Raises:
            RunFailed: the cell failed; a record of it is beside the results of the others.
        """
        alone = cell.in_control or cell.kind == "quality"
        outcome = measure_cell(
            self.files,
            cell,
            self.artifacts[cell.variant],
            Work(
                self.documents if cell.kind == "quality" else self.timing_documents,
                kind=cell.kind,
                batch_size=self.batch_size,
                warmup=self.warmup,
                timeout=self.timeout,
                limit=self.control_documents if cell.in_control else None,
                together=1 if alone else self.together,
                cut=self.cut if self.task == "binary" else None,
                by_query=self.task == "rerank",
            ),
            on_progress,
        )
        if outcome.error is not None:
            raise RunFailed(f"cell {cell.cell_id}: {outcome.error}; log: {outcome.log}")
        return outcome

    @contextmanager
    def progress(self, design: Design, *places: Progress) -> Iterator[Board]:
        """A board on which the cells of a design report the documents that they have done."""
        board = Board(self.documents_of_all([*design.cells, *design.judged, *design.control]), places)
        try:
            yield board
        finally:
            board.finish()

    def run(
        self, rounds: Iterable[Queues], start: Callable[[Cell], Future[Any]], limit: TimeLimit
    ) -> RunFailed | None:
        """Run lists of queues, one list after the other, and the queues of a list side by side.

        May be called again, with the cells that are to follow.

        Args:
            rounds: the lists of queues.
            start: starts the measurement of a cell.
            limit: time that the run may take.

        Returns:
            Why it stopped early, where what was finished can be compared; None where it did not.

        Raises:
            RunFailed: it stopped early, with nothing to compare.
        """
        begun: list[Cell] = []
        try:
            for queues in rounds:
                begun += [cell for queue in queues for cell in queue]
                run_queues(queues, start, limit)
        except RunFailed as error:
            if not self.comparable(begun):
                raise
            return error
        return None

    def comparable(self, cells: Iterable[Cell]) -> bool:
        """Whether at least one cell of the rounds is finished for two variants."""
        finished = {
            cell.variant
            for cell in cells
            if cell.kind == "timing" and not cell.in_control and self.files.cell(cell.cell_id).is_file()
        }
        return len(finished) > 1


def make_stage(
    files: RunFiles,
    prepared: Mapping[str, PreparedVariant],
    documents: Documents,
    parameters: Parameters,
    cores: int,
) -> Stage:
    """What the cells of a run have in common; the documents are copied beside the results.

    Those that time is measured on are chosen over their tokens, where the parameters ask for fewer.

    Args:
        files: of the run.
        prepared: artifacts by variant.
        documents: those that are evaluated.
        parameters: of the run.
        cores: number of cores that the run uses.
    """
    files.keep_documents(documents.path)
    timing, count = files.table("documents"), parameters.timing_documents
    if count is None or count >= documents.count:
        count = documents.count
    else:
        timing = files.timing_documents
        tokenizer = next(iter(prepared.values())).artifact.tokenizer()
        tokens = stored_tokens(documents.path, tokenizer, max(parameters.max_length))
        if documents.task == "rerank":
            queries = read_table(documents.path, ["group"])["group"].to_pylist()
            chosen = choose_timing_queries(tokens, queries, count, parameters.seed)
            count = len(chosen)
        else:
            chosen = choose_timing_documents(tokens, count, parameters.seed)
        write_selection(documents.path, chosen, timing)
    return Stage(
        files=files,
        artifacts={name: variant.artifact for name, variant in prepared.items()},
        documents=files.table("documents"),
        count=documents.count,
        timing_documents=timing,
        timing_count=count,
        control_documents=min(parameters.control_documents, count),
        batch_size=parameters.batch_size,
        warmup=parameters.warmup,
        timeout=parameters.cell_timeout,
        together=cores if parameters.isolation == "same" else 1,
        task=documents.task,
        cut=logit(parameters.threshold),
    )
