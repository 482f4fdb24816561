"""How often the intervals cover and the verdicts are wrong, through ``make_design`` and ``analyse``.

``python -m tests.statistics.coverage`` prints the table for all worlds; ``--help`` says what can be
chosen. The true speed-ups are known, so each run says which intervals hold them.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from scipy import stats

from ptdq.analysis.timing import Analysis, analyse
from ptdq.measure.design import design_frame, make_design
from tests.support.worlds import WORLDS, simulate

CORES = 2
MEASURES = ("speedup", "speedup_p95", "speedup_total")
VERDICTS = {"speedup": "latency_verdict", "speedup_p95": "p95_verdict", "speedup_total": "total_verdict"}


@dataclass(frozen=True)
class Setting:
    """What is simulated.

    Attributes:
        world: name of a world.
        variants: how many, the baseline included.
        rounds: how many.
        spread: how many times as fast as the baseline the fastest is; 1 for identical variants.
        old: whether the order is that of a design that is drawn once and only turned round.
        lockstep: whether cells of the same place start together, so that neighbours never shift.
    """

    world: str
    variants: int
    rounds: int
    spread: float = 1.0
    old: bool = False
    lockstep: bool = False

    def seed(self, run: int) -> list[int]:
        """Of a run; another one for each setting."""
        return [zlib.crc32(repr(self).encode()), run]


@dataclass(frozen=True)
class Tally:
    """Of a measure, over runs.

    Attributes:
        runs: how many.
        covered: share of the intervals that hold the truth.
        falsely: share of runs with any "faster", "slower" or "the same" that is wrong.
        winner: share of runs in which the interval of the fastest holds its truth.
        half_width: mean half-width of the intervals, on the log scale.
    """

    runs: int
    covered: float
    falsely: float
    winner: float
    half_width: float


def speeds_of(setting: Setting) -> dict[str, float]:
    """True speeds, evenly spread on the log scale."""
    logs = np.linspace(0, np.log(setting.spread), setting.variants)
    return {f"v{number}": float(np.exp(log)) for number, log in enumerate(logs)}


def old_design(variants: list[str], rounds: int, seed: int) -> pd.DataFrame:
    """A Latin square whose order is drawn once and turned round every second round."""
    order = np.random.default_rng(seed).permutation(len(variants))
    queues: dict[int, list[dict[str, object]]] = {core: [] for core in range(CORES)}
    for repeat in range(rounds):
        for place in range(len(variants))[:: -1 if repeat // CORES % 2 else 1]:
            core = (place + repeat) % CORES
            cell = {"variant": variants[order[place]], "max_length": 128, "repeat": repeat, "core": core}
            queues[core].append(cell | {"order": len(queues[core])})
    return pd.DataFrame([cell for queue in queues.values() for cell in queue])


def one_run(setting: Setting, run: int) -> tuple[Analysis, dict[str, float]]:
    """Design, simulate and analyse; with the true speed-ups."""
    rng = np.random.default_rng(setting.seed(run))
    speeds = speeds_of(setting)
    seed = int(rng.integers(2**31))
    if setting.old:
        design = old_design(list(speeds), setting.rounds, seed)
    else:
        design = design_frame(make_design(list(speeds), [128], setting.rounds, CORES, seed))
    times = simulate(design, WORLDS[setting.world], rng, speeds, together=setting.lockstep)
    return analyse(times, "v0"), speeds


def judged(found: Analysis, speeds: dict[str, float]) -> dict[str, tuple[float, bool, bool, float]]:
    """For each measure: share covered, any verdict wrong, winner covered, mean half-width."""
    table = found.comparisons
    truth = table["variant"].map(speeds).to_numpy()
    result = {}
    for measure in MEASURES:
        if table[f"{measure}_low"].isna().all():
            continue
        low, high = (table[f"{measure}_{end}"].to_numpy(dtype=float) for end in ("low", "high"))
        inside = (low <= truth) & (truth <= high)
        verdict = table[VERDICTS[measure]]
        wrong = (
            ((verdict == "faster") & (truth <= 1))
            | ((verdict == "slower") & (truth >= 1))
            | ((verdict == "the same") & (np.abs(np.log(truth)) >= np.log(1.02)))
        )
        first = int(table[measure].to_numpy().argmax())
        half = float(np.log(high / low).mean() / 2)
        result[measure] = (float(inside.mean()), bool(wrong.any()), bool(inside[first]), half)
    return result


def some_runs(setting: Setting, runs: Iterable[int]) -> list[dict[str, tuple[float, bool, bool, float]]]:
    """Judged runs."""
    return [judged(*one_run(setting, run)) for run in runs]


@cache
def tallies(setting: Setting, runs: int) -> dict[str, Tally]:
    """Judge runs 0 to ``runs``; for each measure."""
    return tallied(some_runs(setting, range(runs)))


def tallied(each: list[dict[str, tuple[float, bool, bool, float]]]) -> dict[str, Tally]:
    """Sum up judged runs."""
    result = {}
    for measure in MEASURES:
        rows = np.array([run[measure] for run in each if measure in run], dtype=float)
        if len(rows):
            result[measure] = Tally(len(rows), *(float(x) for x in rows.mean(axis=0)))
    return result


def at_most(share: float, runs: int, limit: float) -> bool:
    """Whether a share of wrong runs is compatible, at the 1 % level, with at most ``limit``."""
    count = round(share * runs)
    return bool(stats.binomtest(count, runs, limit, alternative="greater").pvalue > 0.01)


def at_least(share: float, runs: int, limit: float) -> bool:
    """Whether a share of right runs is compatible, at the 1 % level, with at least ``limit``."""
    return at_most(1 - share, runs, 1 - limit)


def table(settings: list[Setting], runs: int, jobs: int, write: Callable[[str], None]) -> None:
    """Write a row for each setting and measure, as Markdown."""
    headings = (
        "world", "variants", "rounds", "spread", "measure", "runs", "coverage", "any wrong verdict",
        "winner covered", "half-width",
    )  # fmt: skip
    write(f"| {' | '.join(headings)} |")
    write(f"|{' --- |' * len(headings)}")
    with ProcessPoolExecutor(jobs) as pool:
        for setting in settings:
            parts = [range(start, runs, jobs) for start in range(jobs)]
            found = pool.map(some_runs, [setting] * jobs, parts)
            for measure, tally in tallied([run for part in found for run in part]).items():
                write(
                    f"| {setting.world}{' (old order)' if setting.old else ''} | {setting.variants} "
                    f"| {setting.rounds} | {setting.spread:g} | {measure} | {tally.runs} "
                    f"| {tally.covered:.3f} | {tally.falsely:.3f} | {tally.winner:.3f} "
                    f"| {tally.half_width:.4f} |"
                )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Simulated coverage and false verdicts.")
    parser.add_argument("--worlds", nargs="*", default=list(WORLDS), choices=list(WORLDS))
    parser.add_argument("--variants", nargs="*", type=int, default=[2, 14])
    parser.add_argument("--rounds", nargs="*", type=int, default=[4, 8, 12])
    parser.add_argument("--spread", type=float, default=1.0)
    parser.add_argument("--old", action="store_true", help="the order is drawn once and turned round")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=1)
    chosen = parser.parse_args()
    settings = [
        Setting(world, variants, rounds, chosen.spread, chosen.old)
        for variants in chosen.variants
        for rounds in chosen.rounds
        for world in chosen.worlds
    ]
    table(settings, chosen.runs, chosen.jobs, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
