"""``make bench-pipeline``: how often a pipeline's gate is wrong, by real jobs on a shared machine.

Each job is ``ptdq gate`` in a process of its own, as a pipeline runs it. In every second one the new
model is the old one with a weight changed by a hair, so that its artifact is another and its time is not:
what fails there is a false alarm. In the others modules stay float32 (those that are ``--planted``: in
turn the first one and all), which makes int8 slower: what fails there is a detection. Meanwhile another
program uses a core now and then (``--busy``).

Writes ``tests/benchmarks/results/pipeline.json`` (or ``--out``) and prints a table; a job takes
``--minutes`` and half a minute more. Forty jobs of three minutes take two and a half hours.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from ptdq.demo.build import make_demo
from ptdq.host import machine
from ptdq.host.facts import machine_facts
from ptdq.host.software import git_commit
from ptdq.statistics.multiplicity import exact_upper
from ptdq.store.cache import private_cache
from ptdq.store.disk import read_json, write_json
from ptdq.store.record_file import now

RESULTS = Path(__file__).parent / "results" / "pipeline.json"
PLANTED = tuple(f"bert.encoder.layer.0.attention.self.{name}" for name in ("query", "key"))
"""Two of the 24 equal parts that the products of the demo's layers have."""
VARIANT = "int8-dynamic"
_PERIOD = 60.0
"""Seconds in which the other program is busy once."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the jobs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=40, help="half without and half with a difference")
    parser.add_argument("--minutes", type=float, default=3.0, help="--max-minutes of a job")
    parser.add_argument("--width", default="5%", help="--target-width of a job")
    parser.add_argument("--documents", type=int, default=200, help="documents of a job")
    parser.add_argument("--length", type=int, default=192, help="--max-length of a job")
    parser.add_argument("--busy", type=float, default=0.2, help="share of the time another program runs")
    parser.add_argument("--planted", nargs="+", default=PLANTED, help="modules that stay float32")
    parser.add_argument("--model", type=Path, help="checkpoint in place of the demo's")
    parser.add_argument("--data", type=Path, help="its documents")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args(arguments)
    found: dict[str, Any] = {
        "started_at": now(),
        "git_commit": git_commit(),
        "machine": machine_facts(machine.usable_cores()).model_dump(),
        "asked": {k: str(v) for k, v in vars(asked).items() if k not in ("out", "model", "data") and v},
        "jobs": [],
    }
    with tempfile.TemporaryDirectory(prefix="ptdq-pipeline-") as scratch, _busy(asked.busy):
        place = Path(scratch)
        old, data = asked.model, asked.data
        if old is None or data is None:
            demo = make_demo(private_cache() / "demo", progress=False)
            old, data = demo.model, demo.data
        new = almost_the_same(old, place / "new")
        common = ["--data", data, "--variant", VARIANT, "--max-length", asked.length]
        common += ["--limit", asked.documents, "--control-documents", 0, "--results-dir", place / "runs"]
        _ptdq("run", "--model", old, "--repeats", 1, "--run-id", "old", *common)
        for number in range(asked.jobs):
            planted = asked.planted[: 1 if number % 4 == 1 else None] if number % 2 else ()
            found["jobs"].append(job(place, number, new, common, asked, planted))
            found["ended_at"] = now()
            write_json(asked.out, found)  # each time: what was measured is kept
            print(line(found["jobs"][-1]), flush=True)
    print(table(found))


def job(
    place: Path,
    number: int,
    new: Path,
    common: Sequence[object],
    asked: argparse.Namespace,
    planted: Sequence[str],
) -> dict[str, Any]:
    """One job of a pipeline."""
    verdict = place / f"{number}.json"
    words: list[object] = ["--model", new, "--baseline", "old", "--json", verdict, "--seed", number]
    words += ["--target-width", asked.width, "--max-minutes", asked.minutes]
    words += [word for module in planted for word in ("--keep-float", module)]
    started = time.monotonic()
    status = _ptdq("gate", *words, *common, check=False)
    seconds = time.monotonic() - started
    if not verdict.is_file():
        raise SystemExit(f"job {number} ended with status {status} and no verdict")
    summary = read_json(verdict)
    (change,) = summary["since"]["changes"]
    slower = [text for text in summary["since"]["regressions"] if "slow" in text]
    return {
        "planted": bool(planted),
        "kept_float": len(planted),
        "status": status,
        "failed": bool(summary["since"]["regressions"]),
        "slower": bool(slower),
        "conditions": (summary["verdict"] or {}).get("conditions"),
        "seconds": seconds,
        **{name: change[name] for name in ("how", "speedup", "speedup_low", "speedup_high")},
    }


def almost_the_same(model: Path, target: Path) -> Path:
    """A copy with one weight changed by a hair: other bytes, the same time, the same answers."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(model, target)
    tensors = load_file(target / "model.safetensors")
    name = next(n for n in tensors if n.endswith("word_embeddings.weight"))
    tensors[name][0, 0] += 1e-4
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    return target


def rates(jobs: Sequence[dict[str, Any]]) -> dict[str, tuple[int, int, float, float]]:
    """Count, trials and exact 95 % interval of false alarms and detections."""
    found = {}
    for name, planted in (("false alarms", False), ("detections", True)):
        mine = [job for job in jobs if job["planted"] == planted]
        count = sum(job["failed"] for job in mine)
        if mine:
            low = 1 - exact_upper(len(mine) - count, len(mine))
            found[name] = (count, len(mine), low, exact_upper(count, len(mine)))
    return found


def table(found: dict[str, Any]) -> str:
    """The rates as Markdown."""
    lines = ["| | jobs | failed | rate | exact 95 % interval |", "| --- | ---: | ---: | ---: | --- |"]
    for name, (count, trials, low, high) in rates(found["jobs"]).items():
        lines.append(f"| {name} | {trials} | {count} | {count / trials:.0%} | [{low:.1%}, {high:.1%}] |")
    return "\n".join([*lines, *_effects(found["jobs"])])


def _effects(jobs: Sequence[dict[str, Any]]) -> list[str]:
    """What each kind of job found of the difference itself; nothing where none has an interval."""
    heads = [
        "modules in float32", "jobs", "with an interval", "it is below 1", "above 1",
        "old over new, median", "high over low end, median", "s a job, median",
    ]  # fmt: skip
    lines = ["", f"| {' | '.join(heads)} |", f"|{' ---: |' * len(heads)}"]
    for kept in sorted({job["kept_float"] for job in jobs if job["speedup_low"]}):
        mine = [job for job in jobs if job["kept_float"] == kept]
        known = [job for job in mine if job["speedup_low"]]
        ratio, seconds = (statistics.median(job[key] for job in known) for key in ("speedup", "seconds"))
        width = statistics.median(job["speedup_high"] / job["speedup_low"] for job in known)
        slower = sum(job["speedup_high"] < 1 for job in known)
        faster = sum(job["speedup_low"] > 1 for job in known)
        lines.append(
            f"| {kept} | {len(mine)} | {len(known)} | {slower} | {faster} | {ratio:.3f} | {width:.3f} | "
            f"{seconds:.0f} |"
        )
    return lines if len(lines) > 3 else []


def line(job: dict[str, Any]) -> str:
    """One job in a line."""
    what = "slower" if job["planted"] else "the same"
    ends = f"[{job['speedup_low']:.3f}, {job['speedup_high']:.3f}]" if job["speedup_low"] else "none"
    return f"{what}: status {job['status']}, old over new {ends}, {job['seconds']:.0f} s"


def _ptdq(command: str, *words: object, check: bool = True) -> int:
    program = [str(Path(sys.executable).with_name("ptdq")), command, *map(str, words)]
    return subprocess.run(program, check=check, stdout=subprocess.DEVNULL).returncode


@contextlib.contextmanager
def _busy(share: float) -> Iterator[None]:
    """Another program on this machine, in so much of the time, at moments of chance."""
    if share <= 0:
        yield
        return
    other = multiprocessing.get_context("spawn").Process(target=_work, args=(share,), daemon=True)
    other.start()
    try:
        yield
    finally:
        other.kill()
        other.join()


def _work(share: float) -> None:
    draw, parent = random.Random(0), multiprocessing.parent_process()
    assert parent is not None
    # It ends with its parent, also where that is killed: left over, it would disturb the next jobs.
    while not wait([parent.sentinel], timeout=draw.uniform(0, 2 * _PERIOD * (1 - share))):
        end = time.monotonic() + draw.uniform(0, 2 * _PERIOD * share)
        while time.monotonic() < end:
            sum(range(10_000))


if __name__ == "__main__":
    main()
