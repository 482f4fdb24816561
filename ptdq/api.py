"""The public Python interface: what ``import ptdq`` gives.

Everything here takes the same parameters and raises the same errors as the command line; nothing of it
needs a terminal. It may be called from a notebook (whose event loop is running) and from any thread.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

from ptdq.errors import GateFailed, UserError
from ptdq.orchestration.environment import outside_event_loop, set_defaults
from ptdq.parameters import Parameters, make_parameters
from ptdq.results import Run

if TYPE_CHECKING:
    import pandas as pd

    from ptdq.analysis.timing import Analysis
    from ptdq.execution import Ended


def run(model: str | Path, data: str | Path | pd.DataFrame | Any, **parameters: Any) -> Run:
    """Measure variants of a text classifier side by side, as ``ptdq run`` does.

    A gate that fails, and a verdict that says no, are answers: the run is returned, and
    :attr:`Run.failed_gates` names the gates. The report is written either way.

    Args:
        model: checkpoint directory of a sequence classifier, its id on the model hub, or ``demo``.
        data: labelled documents: CSV, TSV, JSON lines or Parquet; a path, a URL, or ``demo``; a data
            frame, or a data set of the library ``datasets``.
        **parameters: as below.

    Raises:
        UserError: a parameter, the model or the data is wrong; nothing was measured.
        RunFailed: the run could not be finished, or some of its cells failed. Where there is a report,
            ``error.directory`` is its directory, for :func:`load`.
    """
    values = {"model": model, "data": _data(data)} | parameters
    return _result(make_parameters(_plain(values)))


def resume(run: str | Path, **parameters: Any) -> Run:
    """Continue a run that was broken off, as ``ptdq run --resume`` does; only missing cells are measured.

    Args:
        run: its directory, or its id in the results directory.
        **parameters: those that decide no result: time limits, waiting, where files go.

    Raises:
        UserError: there is no such run, it cannot continue here, or a parameter would change it.
        RunFailed: as :func:`run`.
    """
    from ptdq.execution import resumed

    given = _plain(parameters)
    _check_fixed(given)
    return _result(resumed(run, given), resume=True)


def extend(run: str | Path, **parameters: Any) -> Run:
    """Add rounds to a run that is there, as ``ptdq run --extend`` does.

    Args:
        run: its directory, or its id in the results directory.
        **parameters: ``repeats`` (in all) or ``target_width``, and ``max_minutes``; and those that decide
            no result.

    Raises:
        UserError: there is no such run, it cannot continue here, or a parameter would change it.
        RunFailed: as :func:`run`.
    """
    from ptdq.execution import extended

    given = _plain(parameters)
    _check_fixed(given, extending=True)
    return _result(extended(run, given), resume=True)


def load(run: str | Path, results_dir: str | Path = "results") -> Run:
    """A run that is there.

    Args:
        run: its directory, or its id in ``results_dir``.
        results_dir: directory of the runs.

    Raises:
        UserError: there is no such run, or a newer version of ptdq wrote it.
    """
    from ptdq.store.layout import open_run

    return Run(open_run(run, Path(results_dir)))


def make_design(
    variants: Sequence[str],
    max_lengths: Sequence[int],
    repeats: int,
    cores: Sequence[int] | int,
    seed: int = 0,
    isolation: Literal["parallel", "solo", "same"] = "parallel",
) -> pd.DataFrame:
    """The cells of a run, before the first one is measured; a run lays them out by the same function.

    Args:
        variants: names; the first is the baseline.
        max_lengths: maximum lengths, in tokens.
        repeats: number of rounds.
        cores: cores to use, each of which runs one cell at a time; or how many, from 0.
        seed: of every order.
        isolation: a queue for each core, one cell at a time on the whole machine, or the same variant
            on all cores at once.

    Returns:
        A row for each cell: cell_id, variant, max_length, repeat, core, order (its place in the queue of
        its core; in the only queue with ``solo``) and seed (of the order of its documents).

    Raises:
        ValueError: there is nothing to lay out, or a name or core is named twice.
    """
    from ptdq.measure import design

    return design.design_frame(design.make_design(variants, max_lengths, repeats, cores, seed, isolation))


def analyse(
    times: pd.DataFrame, baseline: str, *, min_effect: float = 0.02, level: float = 0.95, seed: int = 0
) -> Analysis:
    """What measured times say, as a run's report says it; times may come from anywhere.

    Args:
        times: a row for each call: variant, max_length, repeat, core, order, doc_id, forward_ns, and
            where there are any tokenize_ns, tokens, warmup (such rows are left out), batch and group
            (documents of one group count as one).
        baseline: the variant that the others are compared with.
        min_effect: smallest difference in time that matters, as a share.
        level: confidence level.
        seed: of permutations.

    Returns:
        An object whose ``comparisons`` is a data frame with a row for each variant and length:
        baseline, variant, max_length, speedup (of the median), speedup_low, speedup_high,
        latency_verdict, and more.

    Raises:
        ValueError: the table is not as described; names the column or row.
    """
    from ptdq.analysis import timing

    return timing.analyse(times, baseline, min_effect=min_effect, level=level, seed=seed)


def _check_fixed(given: Mapping[str, Any], extending: bool = False) -> None:
    from ptdq.execution import fixed

    if unchangeable := fixed(given, extending):
        raise UserError(
            f"{unchangeable[0]}: a run continues as it began; leave it out, or start a new run"
        )


def _result(parameters: Parameters, resume: bool = False) -> Run:
    """The run at its end.

    Raises:
        UserError, RunFailed: as it ended.
    """
    set_defaults()
    from ptdq.execution import execute
    from ptdq.store.layout import open_run

    with outside_event_loop():
        ended: Ended = execute(parameters, resume)
    if ended.error is not None and not isinstance(ended.error, GateFailed):
        raise ended.error
    assert ended.directory is not None
    return Run(open_run(ended.directory))


def _data(data: Any) -> Any:
    """What names the documents: of a frame or data set, a file of it in the cache, named by content.

    Raises:
        UserError: it cannot be written as Parquet.
    """
    import pandas as pd

    frame = data.to_pandas() if hasattr(data, "to_pandas") else data
    if not isinstance(frame, pd.DataFrame):
        return data
    from ptdq.inputs.documents import keep_frame

    return str(keep_frame(frame))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same with paths and tuples as a configuration file would have them."""

    def plain(value: Any) -> Any:
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        return list(value) if isinstance(value, tuple) else value

    return {name: plain(value) for name, value in values.items()}


def _describe(function: Any) -> None:
    """Give ``function(model, data, **parameters)`` the parameters of a run, for help and notebooks."""
    fields = {n: f for n, f in Parameters.model_fields.items() if n not in ("model", "data")}
    types = get_type_hints(Parameters)
    signature = inspect.signature(function)
    first = [signature.parameters[name] for name in ("model", "data")]
    others = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=types[name]
        )
        for name, field in fields.items()
    ]
    function.__signature__ = signature.replace(parameters=[*first, *others])
    lines = [f"    {name} ({field.default!r}): {field.description}" for name, field in fields.items()]
    function.__doc__ = inspect.cleandoc(function.__doc__) + "\n\nParameters:\n" + "\n".join(lines)


_describe(run)

__all__ = ["Run", "analyse", "extend", "load", "make_design", "resume", "run"]
