"""Whether two runs can be compared in time, what differs in them, and whether they are of one content."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from ptdq.host.software import MEASURING
from ptdq.parameters import Purpose, names
from ptdq.store.run import Run


def refusal(old: Run, new: Run) -> str | None:
    """Why the timings of two runs must not be compared; None where they may be."""
    one, other = old.get("machine", default={}), new.get("machine", default={})
    for what, first, second in (
        ("CPU models", one.get("cpu"), other.get("cpu")),
        ("numbers of cores", _count(one, "cores_usable"), _count(other, "cores_usable")),
        ("numbers of cores in use", _count(one, "cores"), _count(other, "cores")),
        ("isolation", old.get("design", "isolation"), new.get("design", "isolation")),
        ("batch sizes", *(run.get("parameters", "batch_size") for run in (old, new))),
        (
            "caps of the instructions",
            *(run.get("parameters", "isa", default="none") for run in (old, new)),
        ),
    ):
        if first != second:
            return f"different {what}: {_known(first)} and {_known(second)}"
    if old.get("parameters", "batch_size", default=1) > 1 and (
        old.get("parameters", "seed") != new.get("parameters", "seed")
        or old.get("data", "digest") != new.get("data", "digest")
    ):
        return "documents were put in different batches"
    return None


def _count(machine: Mapping[str, Any], name: str) -> int | None:
    cores = machine.get(name)
    return None if cores is None else len(cores)


def _known(value: object) -> str:
    return "unknown" if value is None else str(value)


def differences(old: Run, new: Run) -> list[str]:
    """What is not the same in two runs and may explain a change, in words."""
    paths = {
        "model": ("model", "digest"),
        "data": ("data", "digest"),
        "CPU flags": ("machine", "flags"),
        "system": ("machine", "system"),
        "governor": ("machine", "governor"),
    }
    paths |= {name: ("parameters", name) for name in names(Purpose.EXPLAINS)}
    packages = {*old.get("versions", default={}), *new.get("versions", default={})}
    paths |= {name: ("versions", name) for name in sorted(packages)}
    return _code_differences(old, new) + [
        f"{what}: {_short(old.get(*path))} before, {_short(new.get(*path))} now"
        for what, path in paths.items()
        if old.get(*path) != new.get(*path)
    ]


def _code_differences(old: Run, new: Run) -> list[str]:
    """What is known of ptdq's own code: a commit that was not recorded may be any other."""
    before, after = old.record.git_commit, new.record.git_commit
    if before is None and after is None:
        return ["code of ptdq: neither run knows its commit, so it may differ"]
    if before == after:
        return []
    texts = ("unknown" if commit is None else _short(commit) for commit in (before, after))
    return ["code of ptdq: {} before, {} now".format(*texts)]


def _short(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    text = "none" if value is None else str(value)
    commit, _, dirty = text.partition("-")
    if len(commit) >= 40 and commit.isalnum():
        return commit[:12] + (f"-{dirty}" if dirty else "")
    return text


def content(run: Run, without: Collection[str] = ()) -> str:
    """What must be the same in two runs for their times to differ by chance alone.

    Args:
        run: one of them.
        without: parameters that may differ.
    """
    record, versions = run.record, run.record.versions
    explaining = [name for name in names(Purpose.EXPLAINS) if name not in without]
    return json.dumps(
        [
            record.model.digest,
            record.data.digest,
            {name: versions[name] for name in MEASURING if name in versions},
            record.git_commit,
            {name: record.parameters.get(name) for name in explaining},
        ],
        sort_keys=True,
    )


def other_instructions(old: Run, new: Run) -> bool:
    """Whether two runs differ in the instructions that runtimes could use, and in nothing else that
    predictions depend on."""
    before, after = (run.record.machine.flags for run in (old, new))
    known = bool(before and after) and set(before or ()) != set(after or ())
    timing = {"isa", "repeats", "timing_documents", "warmup", "seed"}
    return known and content(old, timing) == content(new, timing)


def series(run: Run) -> str:
    """What must be the same in two runs for their figures to be points of one series.

    Versions and commit are not: what they change is what one looks for.
    """
    record = run.record
    machine = record.machine
    asked = set(names(Purpose.EXPLAINS)) - set(names(Purpose.EXTENDS))
    return json.dumps(
        [
            machine.cpu,
            *(None if cores is None else len(cores) for cores in (machine.cores_usable, machine.cores)),
            record.design.isolation,
            run.baseline,
            record.model.digest,
            record.data.digest,
            {name: record.parameters.get(name) for name in sorted({*asked, "batch_size"})},
        ],
        sort_keys=True,
    )
