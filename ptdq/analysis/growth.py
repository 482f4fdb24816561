"""The rounds of a run, of which there are more until its intervals are as narrow as was asked.

It stops on the width of the intervals and never on what they say: looked at after each block of rounds,
a test of "no difference" would find one in ever more runs of identical code (P. Armitage, C. K. McPherson
and B. C. Rowe, Journal of the Royal Statistical Society A 132, 1969). An interval of fixed width nearly
keeps its coverage (Y. S. Chow and H. Robbins, Annals of Mathematical Statistics 36, 1965).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from ptdq.analysis.width import Width, read_times, widths
from ptdq.measure.beginning import with_rounds
from ptdq.measure.design import Cell, Design, block
from ptdq.measure.stage import Queues
from ptdq.numbers import percent
from ptdq.parameters import Parameters
from ptdq.statistics.width import MAX_ROUNDS, documents_needed, rounds_needed
from ptdq.store import record
from ptdq.store.layout import RunFiles
from ptdq.store.record_model import DesignPlan
from ptdq.store.tables import read_table, table_metadata


class Rounds:
    """Lists of queues, one to be run after the other: control, cells for quality, rounds, more rounds.

    Attributes:
        design: the cells that there are by now.
    """

    def __init__(
        self,
        files: RunFiles,
        design: Design,
        parameters: Parameters,
        variants: Sequence[str],
        expect: Callable[[Sequence[Cell]], None],
        say: Callable[[str], None],
    ) -> None:
        """Prepare.

        Args:
            files: of the run, with its record.
            design: the cells to begin with.
            parameters: of the run.
            variants: that are measured, the baseline first.
            expect: told the cells that are added.
            say: told why no more are.
        """
        self.design = design
        self._files, self._parameters, self._variants = files, parameters, variants
        self._expect, self._say = expect, say

    def __iter__(self) -> Iterator[Queues]:
        """The lists, each made when the one before has been run."""
        end = time.monotonic() + 60 * self._parameters.max_minutes
        yield [self.design.control]
        yield self.design.quality
        yield self.design.queues
        target = self._parameters.target_width
        if target is None:
            return
        while (ended := self._ended(target, end - time.monotonic())) is None:
            yield self._more()
        record.amend(self._files, width=ended)
        self._say(ended)

    def _more(self) -> Queues:
        """A block of rounds, which is in the run's record from now on."""
        before = {cell.cell_id for cell in self.design.cells}
        rounds = self.design.rounds + block(len(self.design.cores), self.design.isolation)
        self.design = with_rounds(self.design, self._parameters, self._variants, rounds)
        record.grow(self._files, DesignPlan.model_validate(self.design.as_json()))
        queues = [[c for c in queue if c.cell_id not in before] for queue in self.design.queues]
        self._expect([cell for queue in queues for cell in queue])
        return queues

    def _ended(self, target: float, seconds_left: float) -> str | None:
        """Why no rounds are added, in words; None where some are."""
        if any(self._files.failure(cell.cell_id).is_file() for cell in self.design.cells):
            return "No rounds were added for the target width: cells failed."
        current = widths(read_times(self._files, self.design), self._variants[0])
        asked = f"asked for: ±{percent(target, 1)}"
        if not current:
            return "No rounds were added for the target width: nothing is compared."
        widest = max(current, key=lambda width: width.share)
        if widest.share <= target:
            return f"Every interval is at most ±{percent(widest.share, 1)} wide ({asked})."
        if (hopeless := _hopeless(current, target)) is not None:
            return f"{hopeless} ({asked})."
        step = block(len(self.design.cores), self.design.isolation)
        if self._block_seconds(step) > seconds_left or self.design.rounds + step > MAX_ROUNDS:
            limit = f"{self._parameters.max_minutes:g} minutes"
            if seconds_left > self._block_seconds(step):
                limit = f"{MAX_ROUNDS} rounds"
            return f"{_so_far(widest, target, step)} ({asked}); the limit of {limit} is reached."
        return None

    def _block_seconds(self, step: int) -> float:
        """How long a block of rounds takes, from those that are done."""
        facts = [
            table_metadata(read_table(path, []))["facts"]
            for cell in self.design.cells
            if (path := self._files.cell(cell.cell_id)).is_file()
        ]
        seconds = sum(fact["wall_seconds"] for fact in facts) / len(self.design.queues)
        return float(seconds / self.design.rounds * step)


def _hopeless(widths: Sequence[Width], target: float) -> str | None:
    """Why no number of rounds makes all intervals this narrow; None where some may."""
    for width in widths:
        if width.too_few is not None:
            return f"No interval: {width.too_few}"
        if width.estimate is None:
            continue
        # What the documents add is itself known the less, the fewer rounds there are.
        surely = target * (1 + 1 / width.rounds)
        if documents_needed(width.estimate, width.documents, surely) is not None:
            needed = documents_needed(width.estimate, width.documents, target)
            return (
                f"{_place(width)} {width.documents} timed documents make the interval wider than that, "
                f"however many rounds there are: it takes more than {needed}"
            )
    return None


def _so_far(widest: Width, target: float, step: int) -> str:
    if widest.estimate is None:
        return f"{_place(widest)} there is no interval after {widest.rounds} rounds"
    text = f"{_place(widest)} the interval is ±{percent(widest.share, 1)} wide"
    needed = rounds_needed(widest.estimate, widest.rounds, target, step)
    return text if needed is None else f"{text}; about {needed} rounds in all would do"


def _place(width: Width) -> str:
    return f"For {width.variant} at {width.max_length} tokens"
