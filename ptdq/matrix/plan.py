"""The runs of a matrix: models × lengths × machines, each with its parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from ptdq.analysis.outcome import problem_of
from ptdq.errors import UserError
from ptdq.parameters import Parameters, Purpose, make_parameters, names
from ptdq.parameters.matrix import MatrixParameters
from ptdq.statistics.reach import smallest_quality_loss
from ptdq.store import matrix_record, record
from ptdq.store.disk import digest_of
from ptdq.store.evaluation_record import check_same
from ptdq.store.layout import MatrixFiles, RunFiles


@dataclass(frozen=True)
class Child:
    """One run of the matrix: every variant of a model, at one length, on one machine."""

    machine: str
    model: str
    max_length: int

    @property
    def run_id(self) -> str:
        """The same whenever the matrix is run again, so that it can be resumed."""
        slug = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{self.machine[:30]}-{Path(self.model).name[-40:]}")
        return f"{slug.strip('-_')}-L{self.max_length}-{digest_of([self.machine, self.model])[:6]}"

    def __str__(self) -> str:
        return f"{self.model} at {self.max_length} tokens on {self.machine}"


def plan_runs(parameters: MatrixParameters, files: MatrixFiles) -> dict[Child, Parameters]:
    """All runs with their parameters; each machine gets its own in the same order.

    Raises:
        UserError: the parameters are wrong, or others than those of the runs that are there.
    """
    combinations = product(parameters.machine, parameters.model, parameters.max_length)
    runs = {
        child: _parameters_of(child, parameters, files) for child in (Child(*c) for c in combinations)
    }
    _check_resumable(parameters, files)
    return runs


def undecidable(runs: Mapping[Child, Parameters]) -> list[str]:
    """What runs cannot decide for certain, however they come out: too few documents for the margin.

    From the sample that they are asked to take. Of a whole file only its machine knows the documents; the
    first lines of its run say the same of them.
    """
    said = {}
    for parameters in runs.values():
        others = len(parameters.variant) - 1
        if parameters.limit is None or parameters.margin >= 1 or others < 1 or parameters.random_weights:
            continue
        best = smallest_quality_loss(parameters.limit, 1.0, parameters.margin, variants=others)
        if not best.decides:
            said[parameters.limit] = (
                f"limit {parameters.limit}: so few documents cannot show that {parameters.margin:g} of F1"
                " is kept, even if no prediction changes, so no variant will be picked; it takes "
                f"{best.documents_needed} or more"
            )
    return list(said.values())


def check_input(parameters: MatrixParameters) -> None:
    """Check what needs no Prefect server, before one is asked.

    Raises:
        UserError: the parameters are wrong; nothing was written.
    """
    plan_runs(parameters, MatrixFiles(Path(parameters.results_dir) / (parameters.run_id or ".new")))


def status(files: RunFiles) -> str | None:
    """How far a run has come, from its record; None where there is none."""
    return record.read(files).status if files.record.is_file() else None


def completed_runs(runs: Mapping[Child, Parameters], files: MatrixFiles) -> dict[Child, str | None]:
    """The runs that are there already, and why they failed; None where they did not."""
    errors: dict[Child, str | None] = {}
    for child in runs:
        run = RunFiles(files.runs / child.run_id)
        if status(run) == "completed":
            problem = problem_of(run)
            errors[child] = None if problem is None else str(problem)
    return errors


def _parameters_of(child: Child, parameters: MatrixParameters, files: MatrixFiles) -> Parameters:
    """Parameters of one run of the matrix.

    Raises:
        UserError: they are wrong.
    """
    given = [name for name in names(Purpose.MATRIX) if name in parameters.benchmark]
    if given:
        raise UserError(f"benchmark: {', '.join(given)} is for the matrix to give to each run")
    own = {
        "model": child.model,
        "max_length": [child.max_length],
        "results_dir": str(files.runs),
        "run_id": child.run_id,
        # A run of another machine is nothing to compare timings with.
        "baseline": "none",
    }
    return make_parameters(parameters.benchmark | own)


def _check_resumable(parameters: MatrixParameters, files: MatrixFiles) -> None:
    """Raises UserError where the runs that are there were asked another question than these will be."""
    if files.record.is_file():
        before = matrix_record.read(files).parameters["benchmark"]
        check_same(_question(before), _question(parameters.benchmark), files.matrix_id)
    elif files.directory.exists():
        raise UserError(
            f"run_id '{files.matrix_id}': {files.directory} is there and no matrix; take another id"
        )


def _question(benchmark: dict[str, Any]) -> dict[str, Any]:
    """The parameters that the runs share, defaults too, of those that decide results."""
    shared = make_parameters(benchmark | {"model": "any"}).model_dump()
    return {name: shared[name] for name in names(without=[Purpose.MATRIX, Purpose.UNMEASURED])}
