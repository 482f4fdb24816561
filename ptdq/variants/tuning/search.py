"""The search for ``int8-best``: what is made, what keeps the answers, which of that is fastest here.

The first candidate is always made; where it changes answers, what mends that. All else is tried while
there is time: engines make their candidates in a process each, which is killed when the time is up, and
candidates that keep the answers race in pinned processes of their own. Of all documents it sees those of
the calibration alone.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptdq import numbers
from ptdq.errors import UserError
from ptdq.host import machine
from ptdq.host.process import run_child
from ptdq.store.disk import read_json
from ptdq.variants import registry
from ptdq.variants.base import Calibration, Settings
from ptdq.variants.steps import step
from ptdq.variants.tuning.build_child import BuildRequest
from ptdq.variants.tuning.race import DOCUMENTS, Times, fastest, race
from ptdq.variants.tuning.samples import Samples, outputs
from ptdq.variants.tuning.space import FIRST, PACKAGES, Candidate, Engine, remedies, space
from ptdq.variants.tuning.time_child import TimeRequest
from ptdq.variants.tuning.workshop import Built, Workshop, answered

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ptdq.inputs.source import Source

ALLOWED = 0.01
"""Share of the calibration documents that may be answered otherwise than by float32, as a run's margin
allows by default, over what the candidate changes that changes the fewest. Of 128 documents it is one:
rounding alone turns as many where the model is not sure."""
BUILDING = 0.7
"""Share of the time in which candidates are made; the rest is for timing them."""
RACING = 0.85
"""Share of the time that is over when the race ends: what is left is for branches of the fastest."""
FIXED_GAIN = 0.02
"""Share of the time that fixed shapes must save to be worth their memory."""
CHANGES = "changes answers"
NO_TIME = "no time left to make it"
_TIMING_SECONDS, _TIMING_LEAST = 300.0, 30.0


def keepers(changed: Mapping[str, float]) -> list[str]:
    """Names of the candidates that keep the answers: they change about as few as any, in their order.

    What changes more than :data:`ALLOWED` comes last, the fewest first.

    Args:
        changed: candidate to the share of the answers that it changes.
    """
    most = min(changed.values()) + ALLOWED
    return sorted(
        (name for name, share in changed.items() if share <= most),
        key=lambda name: max(ALLOWED, changed[name]),
    )


@dataclass
class Trial:
    """A candidate and what became of it.

    Attributes:
        name: of its files.
        candidate: which.
        built: what was made; None where nothing was.
        out: why it is not the choice; None of the one that is.
        ms: of a document, in each rung that it was in.
    """

    name: str
    candidate: Candidate
    built: Built | None = None
    out: str | None = None
    ms: list[float] = field(default_factory=list)


class Search:
    """One search. Files of candidates are in ``scratch``, which must outlive it."""

    def __init__(
        self, source: Source, settings: Settings, calibration: Calibration, scratch: Path
    ) -> None:
        from ptdq.inputs.source import torch_predictor

        self._source, self._settings, self._calibration = source, settings, calibration
        self._scratch = scratch
        self._began = time.monotonic()
        self._budget = 60.0 * settings.tune_minutes
        step("answering the calibration documents in float32")
        inputs = list(calibration.inputs)
        self._samples = Samples(inputs, outputs(torch_predictor(source.module()), inputs))
        self._file = scratch / "samples.npz"
        self._samples.save(self._file)
        self.trials: dict[str, Trial] = {}

    def run(self) -> Built:
        """The choice.

        Raises:
            UserError: the first candidate cannot be made of this model.
        """
        base = self._first()
        if self._left() > 0:
            tried = {trial.candidate for trial in self.trials.values()}
            more = [one for one in self._space(base) if one not in tried]
            for engine in PACKAGES:
                self._make(engine, [one for one in more if one.engine == engine])
        changed = {
            name: trial.built.changed for name, trial in self.trials.items() if trial.built is not None
        }
        able = keepers(changed)
        times = self._race(able)
        chosen = self.trials[fastest(times) or able[0]]
        chosen = self._with_branches(chosen)
        self._say_why(chosen, able)
        assert chosen.built is not None
        return chosen.built

    def report(self, chosen: Built) -> dict[str, Any]:
        """What was tried, measured and chosen, for the manifest."""
        return {
            "minutes": self._settings.tune_minutes,
            "seconds": round(time.monotonic() - self._began, 1),
            "documents": len(self._samples.inputs),
            "task": self._calibration.answers.task,
            "cpu": machine.cpu_model(),
            "flags": machine.cpu_flags(),
            "chosen": chosen.candidate.words,
            "tried": [
                {
                    "candidate": trial.candidate.words,
                    **asdict(trial.candidate),
                    "shapes": list(trial.candidate.shapes),
                    "changed": trial.built and trial.built.changed,
                    "build_seconds": trial.built and round(trial.built.seconds, 1),
                    "ms": trial.ms,
                    "out": trial.out,
                }
                for trial in self.trials.values()
            ],
        }

    def _left(self, share: float = 1.0) -> float:
        """Seconds that are left of a share of the budget."""
        return self._began + share * self._budget - time.monotonic()

    def _first(self) -> Candidate:
        """The first candidate, or what mends its answers; each is made whatever time it takes."""
        workshop = Workshop(self._source, self._settings, self._calibration, self._samples)
        mixed = bool(self._settings.keep_float_mixed)
        for candidate in (FIRST, *remedies(FIRST, mixed)):
            trial = self._build(workshop, candidate)
            if trial.built is not None and trial.built.changed <= ALLOWED:
                break
        able = [trial for trial in self.trials.values() if trial.built is not None]
        base = min(able, key=lambda trial: trial.built.changed if trial.built else 1.0).candidate
        # Of the graph that is quantized already the other format of the rest costs little.
        for candidate in self._space(base):
            if candidate.graph == base.graph and candidate != base and self._left(BUILDING) > 0:
                self._build(workshop, candidate)
        return base

    def _build(self, workshop: Workshop, candidate: Candidate) -> Trial:
        """Make a candidate here; only the first has to be possible."""
        trial = self._trial(candidate)
        try:
            trial.built = workshop.build(candidate, self._scratch / trial.name)
        except UserError as error:
            if candidate == FIRST:
                raise
            trial.out = str(error)
        return trial

    def _space(self, base: Candidate) -> list[Candidate]:
        """What is tried here, but for what takes no inputs as long as these or does not heed a cap."""
        unbounded = self._source.longest_input() is None
        longest = self._samples.longest if unbounded else 0
        escapes = machine.cap() is not None and bool(machine.hidden_flags())

        def fits(candidate: Candidate) -> bool:
            variant = registry.get(candidate.variant)
            return longest <= (variant.max_tokens or longest) and (variant.heeds_cap or not escapes)

        return [one for one in space(base, machine.cpu_flags(), _installed()) if fits(one)]

    def _make(self, engine: Engine, candidates: Sequence[Candidate]) -> None:
        """Have a process make the candidates of an engine, as far as it comes."""
        seconds = self._left(BUILDING)
        trials = {trial.name: trial for trial in map(self._trial, candidates)}
        if seconds > 0 and trials:
            words = [trial.candidate.words for trial in trials.values()]
            request = BuildRequest(
                source=str(self._source.directory),
                settings=asdict(self._settings),
                answers=asdict(self._calibration.answers),
                samples=str(self._file),
                candidates={name: asdict(trial.candidate) for name, trial in trials.items()},
                directory=str(self._scratch),
            )
            reason = self._child(
                "build",
                asdict(request),
                len(machine.usable_cores()),
                seconds,
                lambda done: step(f"making candidate {done + 1} of {len(words)}: {words[done]}"),
            )
        else:
            reason = NO_TIME
        for name, trial in trials.items():
            path = self._scratch / f"{name}.json"
            found = read_json(path) if path.is_file() else {"reason": reason}
            if "reason" in found:
                trial.out = str(found["reason"])
            else:
                trial.built = Built.from_json(found)

    def _race(self, able: Sequence[str]) -> Times:
        if len(able) < 2 or self._left(RACING) <= 0:
            return {}
        times = race(able, self._time, lambda: self._left(RACING) > 0)
        for name, found in times.items():
            self.trials[name].ms = found
        return times

    def _time(self, name: str, documents: int) -> float | None:
        """Milliseconds of a document, from a process of its own; None where that failed."""
        return self._times([name], documents).get(name)

    def _times(self, names: Sequence[str], documents: int) -> dict[str, float]:
        """By name, milliseconds of a document, from one process for all; nothing where that failed."""
        trials = {name: self.trials[name] for name in names}
        last = trials[names[-1]]
        step(f"timing on {documents} documents: {last.candidate.words}")
        result = self._scratch / f"{names[-1]}-{documents}.json"
        request = TimeRequest(
            variant=last.candidate.variant,
            settings=asdict(self._settings),
            candidates={name: trial.built.directory for name, trial in trials.items() if trial.built},
            samples=str(self._file),
            documents=documents,
            core=machine.usable_cores()[0] if machine.can_pin() else None,
            result=str(result),
        )
        result.unlink(missing_ok=True)
        seconds = min(_TIMING_SECONDS, max(_TIMING_LEAST, self._left()))
        reason = self._child("time", asdict(request), self._settings.threads, seconds)
        if not result.is_file():
            last.out = f"not timed: {reason}"
            return {}
        return {name: float(ms) for name, ms in read_json(result).items()}

    def _with_branches(self, chosen: Trial) -> Trial:
        """The choice with branches for few lengths, where that is decidedly faster."""
        from ptdq.runtimes.padding import RULE
        from ptdq.variants.openvino_runtime import write_options
        from ptdq.variants.padding import branch_lengths, pad_to

        built = chosen.built
        if self._left() <= 0 or built is None or chosen.candidate.engine != "OpenVINO":
            return chosen
        rule = Path(built.directory) / RULE
        if not rule.is_file():
            return chosen
        shapes = branch_lengths(self._samples.lengths(), read_json(rule)["longest"])
        trial = self._trial(replace(chosen.candidate, shapes=shapes))
        copy = self._scratch / trial.name
        shutil.copytree(built.directory, copy)
        write_options(copy, trial.candidate.precision, shapes)
        pad_to(copy, shapes)
        trial.built = replace(built, candidate=trial.candidate, directory=str(copy))
        # In turns in one process: the two are near each other, and the machine's speed moves. It may fail
        # there, or end the process; afterwards it can be loaded here.
        times = self._times([chosen.name, trial.name], DOCUMENTS[-1])
        if not times:
            return chosen
        ms, with_branches = times[chosen.name], times[trial.name]
        chosen.ms, trial.ms = [*chosen.ms, ms], [with_branches]
        if with_branches >= (1 - FIXED_GAIN) * ms:
            trial.out = f"saves no {numbers.percent(FIXED_GAIN, 0)} of the time"
            return chosen
        # The numbers are those of the open graph up to rounding: it turns what is undecided either way.
        after = self._answered(trial.built)
        share = self._calibration.answers.changed(self._samples.expected, after)
        trial.built = replace(trial.built, changed=share)
        if share > built.changed + ALLOWED:
            trial.out = CHANGES
            return chosen
        return trial

    def _answered(self, built: Built) -> NDArray[np.float32]:
        return answered(built.candidate, Path(built.directory), self._settings, self._samples)

    def _say_why(self, chosen: Trial, able: Sequence[str]) -> None:
        for name, trial in self.trials.items():
            if trial is chosen:
                trial.out = None
            elif trial.out is None and name not in able and not trial.candidate.shapes:
                trial.out = CHANGES
            elif trial.out is None:
                trial.out = "slower" if trial.ms else "not timed"

    def _trial(self, candidate: Candidate) -> Trial:
        trial = Trial(f"candidate-{len(self.trials)}", candidate)
        self.trials[trial.name] = trial
        return trial

    def _child(
        self,
        what: str,
        request: dict[str, Any],
        threads: int,
        seconds: float,
        on_progress: Callable[[int], None] = lambda done: None,
    ) -> str:
        """Run a child to its end; why it came to no result."""
        ended = run_child(
            f"ptdq.variants.tuning.{what}_child",
            request,
            self._scratch / f"{what}-request.json",
            self._scratch / f"{what}.log",
            threads=threads,
            timeout=seconds,
            on_progress=on_progress,
        )
        if ended.timed_out and what == "build":
            return NO_TIME
        return ended.reason or "no result"


def _installed() -> list[str]:
    """Those of the packages of the engines that are installed."""
    installed = []
    for name in set(chain.from_iterable(PACKAGES.values())):
        with suppress(importlib.metadata.PackageNotFoundError):
            importlib.metadata.version(name)
            installed.append(name)
    return installed


def check_calibration(name: str, calibration: Calibration | None) -> Calibration:
    """The calibration, if there is any.

    Raises:
        UserError: there is nothing to calibrate on.
    """
    if calibration is None or not calibration.inputs:
        raise UserError(f"variant {name} needs calibration documents, and there are none")
    return calibration
