"""``ptdq doctor``: is this machine fit for a benchmark, and what to mend before the first one.

Each check is a function of facts, so that it can be tested with facts of other machines; only
:func:`examine` reads those of this one. Nothing of the machine's settings is changed.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
from packaging.requirements import Requirement

from ptdq.host import lock, machine
from ptdq.host.quiet import busiest
from ptdq.store.cache import cache_root

Status = Literal["ok", "warn", "fail"]

GB = 1e9
WORKER_BYTES = 0.6 * GB
"""What a worker takes besides the model: interpreter, torch, transformers."""
_COPIES = 3  # while a variant is prepared: the float model, its conversion, the reloaded proof
_LEAST_FREE, _LITTLE_FREE = 1 * GB, 5 * GB
_BUSY = 0.2
_BREAKS = {
    "fastapi": "with 0.151 and later every Prefect flow fails",
    "sqlalchemy": "with 2.1 and later no schedule of a Prefect server ever fires, silently",
}


@dataclass(frozen=True)
class Check:
    """One line: what was looked at, how it is, and what to do where it is not well."""

    name: str
    status: Status
    text: str
    remedy: str = ""


def check_cores(usable: Sequence[int], present: int, pins: bool, quota: float | None) -> list[Check]:
    """Number of cores, affinity, and a container's quota of processor time."""
    text = f"{len(usable)} usable of {present}"
    checks = [Check("cores", "ok", text)]
    if len(usable) == 1:
        text += ": cells run one after the other, and neighbours cannot be measured"
        checks = [Check("cores", "warn", text, "give it two cores for a run half as long")]
    if quota is not None and quota < len(usable):
        checks.append(
            Check(
                "processor quota",
                "warn",
                f"{quota:g} cores' worth of time for {len(usable)} cores: workers are stopped now and "
                "then, which shows as outliers",
                f"run with --cores {max(1, int(quota))} (or pin the container with --cpuset-cpus)",
            )
        )
    if pins:
        return [*checks, Check("affinity", "ok", "workers can be pinned")]
    text = "this system cannot pin a process to a core: workers move, and timings spread more"
    return [*checks, Check("affinity", "warn", text, "measure on Linux")]


def check_siblings(usable: Sequence[int], siblings: dict[int, frozenset[int]]) -> Check | None:
    """Cores that are two threads of one: a cell on one slows the cell on the other."""
    shared = [core for core in usable if len(siblings.get(core, frozenset()) & set(usable)) > 1]
    if not shared:
        return None
    firsts = sorted({min(siblings[core] & set(usable)) for core in shared} | set(usable) - set(shared))
    return Check(
        "hyper-threads",
        "warn",
        f"{len(shared)} of the cores are hyper-threads that share a core: cells disturb each other",
        f"run with --cores {','.join(map(str, firsts))}" + ("," if len(firsts) == 1 else ""),
    )


def check_flags(flags: Sequence[str], architecture: str) -> Check:
    """Instructions for int8: without VNNI, x86 is slower and its 16-bit sums saturate."""
    shown = " ".join(flags) or "none known"
    x86 = architecture.lower() in ("x86_64", "amd64", "i686")
    if x86 and not {"avx512_vnni", "avx_vnni", "amx_int8"} & set(flags):
        return Check(
            "CPU flags",
            "warn",
            f"{shown}: no VNNI. int8 gains little, and 16-bit sums may saturate, which changes "
            "predictions",
            "what is measured here does not hold for CPUs with VNNI: measure on the kind that serves",
        )
    if architecture.lower() in ("aarch64", "arm64") and not {"asimddp", "i8mm"} & set(flags):
        text = f"{shown}: no dot products, int8 gains little"
        return Check("CPU flags", "warn", text, "measure on the kind of CPU that serves")
    return Check("CPU flags", "ok", shown)


def check_engines(supported: Sequence[str], architecture: str) -> Check:
    """Quantized engines of torch."""
    engines = [name for name in supported if name != "none"]
    text = ", ".join(engines)
    if not engines:
        return Check(
            "quantized engines", "fail", "this build of torch has none", "install torch from pytorch.org"
        )
    if architecture.lower() in ("x86_64", "amd64") and set(engines) == {"qnnpack"}:
        text += ": qnnpack is for ARM and several times slower than float32 here"
        return Check("quantized engines", "warn", text, "install torch from pytorch.org")
    return Check("quantized engines", "ok", text)


def check_memory(total: int, available: int, cores: int, model_bytes: int | None) -> Check:
    """Memory against a worker on every core, and against preparing."""
    size = model_bytes or 0
    needed = max(cores * (WORKER_BYTES + 2 * size), cores * WORKER_BYTES + _COPIES * size)
    of = f"{size / GB:.1f} GB model" if model_bytes is not None else "small model; none was given"
    text = (
        f"{available / GB:.1f} of {total / GB:.1f} GB available; about {needed / GB:.1f} GB needed "
        f"({cores} workers, {of})"
    )
    if needed > total:
        fewer = int(min(total // (WORKER_BYTES + 2 * size), (total - _COPIES * size) // WORKER_BYTES))
        remedy = f"run with --cores {fewer}" if fewer > 0 else "take a machine with more memory"
        return Check("memory", "fail", text, remedy)
    if needed > available:
        return Check("memory", "warn", text, "end other programs, or run with fewer --cores")
    return Check("memory", "ok", text)


def check_disk(name: str, path: Path, free: int, writable: bool, needed: int = 0) -> Check:
    """Space for what is written there, and leave to write it."""
    text = f"{path}: {free / GB:.1f} GB free"
    if not writable:
        remedy = "choose another place (PTDQ_CACHE, --results-dir)"
        return Check(name, "fail", f"{path}: not writable", remedy)
    if free < max(_LEAST_FREE, needed):
        return Check(name, "fail", text, "free some, or choose another place")
    if free < max(_LITTLE_FREE, 2 * needed):
        return Check(name, "warn", text, "free some (ptdq prune drops rows of old runs)")
    return Check(name, "ok", text)


def check_governor(governors: set[str]) -> Check:
    """A governor that follows the load changes the clock while cells run."""
    if not governors:
        return Check("frequency governor", "ok", "not readable (as in most virtual machines)")
    text = ", ".join(sorted(governors))
    if governors <= {"performance"}:
        return Check("frequency governor", "ok", text)
    return Check(
        "frequency governor",
        "warn",
        f"{text}: the clock follows the load; ptdq flags cells in which it moved",
        "cpupower frequency-set -g performance, if the machine is yours (ptdq changes no settings)",
    )


def check_load(share: float, held_by: str | None) -> Check:
    """What others do with the cores now."""
    if held_by is not None:
        text = f"{held_by} is using this machine"
        return Check("load", "warn", text, "a run started now waits for it")
    text = f"up to {share:.0%} of a core is used by other programs"
    if share > _BUSY:
        return Check("load", "warn", text, "end them: timings taken beside them are flagged")
    return Check("load", "ok", text)


def check_versions(requirements: Sequence[str], installed: dict[str, str]) -> list[Check]:
    """Installed packages against the pins of ptdq, two of which are there because Prefect breaks.

    Args:
        requirements: as in ``pyproject.toml``.
        installed: package to version; what is absent is not installed.
    """
    wrong, met = [], 0
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        name, version = requirement.name, installed.get(requirement.name.lower())
        reason = _BREAKS.get(name.lower())
        wanted = f"{name}{requirement.specifier}"
        remedy = f"pip install -c constraints.txt '{wanted}'"
        if version is None:
            wrong.append(Check("packages", "fail", f"{name} is not installed", remedy))
        elif not requirement.specifier.contains(version, prereleases=True):
            text = f"{name} {version}, wanted {requirement.specifier}"
            if reason is None:
                wrong.append(Check("packages", "warn", text, remedy))
            else:
                wrong.append(Check("packages", "fail", f"{text}: {reason}", remedy))
        else:
            met += 1
    return wrong or [Check("packages", "ok", f"the versions that ptdq wants ({met} packages)")]


def check_prefect(url: str | None, answer: str | None) -> Check:
    """The API that the flow reports to.

    Args:
        url: its address; None where none is set.
        answer: why it does not answer; None where it does.
    """
    if not url:
        text = "none is set: each run starts a temporary server (10 to 20 s)"
        return Check("Prefect API", "ok", text)
    if answer is None:
        return Check("Prefect API", "ok", url)
    remedy = "start it (prefect server start), or unset PREFECT_API_URL (prefect config unset)"
    return Check("Prefect API", "fail", f"{url}: {answer}", remedy)


def weights_bytes(model: str) -> int | None:
    """Size of a model's weights; None where it is not on this machine.

    Args:
        model: directory, or id of a model in the hub's local cache.
    """
    directory = Path(model)
    if not directory.is_dir():
        from huggingface_hub import snapshot_download

        try:
            directory = Path(snapshot_download(model, local_files_only=True))
        except Exception:  # no such model, or a name that cannot be one
            return None
    for pattern in ("*.safetensors", "*.bin", "*.pt", "*.pth"):
        if sizes := [path.stat().st_size for path in directory.rglob(pattern)]:
            return sum(sizes)
    return None


def examine(model: str | None, results: Path) -> list[Check]:
    """All checks, with the facts of this machine."""
    import platform

    import torch

    usable = machine.usable_cores()
    architecture = platform.machine()
    size = weights_bytes(model) if model else None
    memory = psutil.virtual_memory()
    held = lock.holder()
    checks = [
        *check_cores(usable, os.cpu_count() or 1, machine.can_pin(), _quota()),
        check_siblings(usable, _siblings(usable)),
        check_flags(machine.cpu_flags(), architecture),
        check_engines(torch.backends.quantized.supported_engines, architecture),
        check_memory(memory.total, memory.available, len(usable), size),
    ]
    if model and size is None:
        text = f"{model}: its weights are not on this machine, so their size is not known"
        checks.append(Check("model", "warn", text, "give a directory, or download it first"))
    for name, path in (("disk of the cache", cache_root()), ("disk of the results", results)):
        existing = _existing(path)
        free = shutil.disk_usage(existing).free
        checks.append(check_disk(name, path, free, os.access(existing, os.W_OK), _COPIES * (size or 0)))
    installed = {
        str(distribution.metadata["Name"]).lower(): distribution.version
        for distribution in importlib.metadata.distributions()
    }
    checks += check_versions(importlib.metadata.requires("ptdq") or [], installed)
    from ptdq.orchestration.api import check_server

    checks.append(check_prefect(*check_server()))
    checks.append(check_governor({g for core in usable if (g := machine.governor(core)) is not None}))
    who = lock.describe(held) if held is not None else None
    checks.append(check_load(busiest(usable, 1.0), who))
    return [check for check in checks if check is not None]


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that exists."""
    path = path.absolute()
    return path if path.exists() else _existing(path.parent)


def _quota() -> float | None:
    """Cores' worth of processor time that the control group grants; None without a limit."""
    with contextlib.suppress(OSError, ValueError):
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    return None


def _siblings(cores: Sequence[int]) -> dict[int, frozenset[int]]:
    """The threads of each core's physical core."""
    siblings = {}
    for core in cores:
        path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
        with contextlib.suppress(OSError, ValueError):
            threads: set[int] = set()
            for part in path.read_text().strip().split(","):
                first, _, last = part.partition("-")
                threads |= set(range(int(first), int(last or first) + 1))
            siblings[core] = frozenset(threads)
    return siblings
