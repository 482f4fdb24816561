"""The run's record, ``run.json``: what was asked, of what, on which machine, and how it ended."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ptdq.errors import UserError
from ptdq.host import machine
from ptdq.inputs.checkpoint import Checkpoint, multiply_adds
from ptdq.inputs.documents import Documents
from ptdq.measure.design import Design
from ptdq.parameters import Purpose, names
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from ptdq.store.schema import SCHEMA_VERSION

_PACKAGES = (
    "ptdq", "torch", "transformers", "tokenizers", "safetensors", "prefect", "numpy", "scipy",
    "scikit-learn", "pandas", "pyarrow", "torchao", "onnx", "onnxruntime", "openvino", "nncf",
)  # fmt: skip

# Of these, the ones that measure: reports and tables are made anew by whichever there are.
_MEASURING = (
    "ptdq", "torch", "transformers", "tokenizers", "safetensors", "numpy", "torchao", "onnx",
    "onnxruntime", "openvino", "nncf",
)  # fmt: skip

_TEMPORARY = re.compile(r"\..+\.(json|parquet|md|png)\.[a-z0-9_]{8}")


def now() -> str:
    """The time, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def package_versions() -> dict[str, str]:
    """Versions of the packages that matter, those that are installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Commit of this project's checkout, with ``-dirty`` where files differ; None outside one."""
    root = Path(__file__).resolve().parents[2]
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def check_target(files: RunFiles, flow_run_id: str | None, resume: bool) -> bool:
    """Whether the run goes on with a directory that is there already; nothing is written.

    A retry of the same flow run goes on by itself, another run only when asked to.

    Raises:
        UserError: the id is used, there is nothing to resume, or the directory cannot be written.
    """
    results = files.directory.parent
    if files.record.is_file():
        found = read_json(files.record)
        if resume or (flow_run_id is not None and found.get("flow_run_id") == flow_run_id):
            return True
        raise UserError(
            f"run_id '{files.run_id}': {files.directory} exists already; take another id, "
            "or go on with it (ptdq run --resume)"
        )
    if resume:
        raise UserError(f"resume '{files.run_id}': no run.json in {files.directory}")
    check_unused(files.directory)
    probe = results / f".ptdq-{files.run_id}"
    try:
        results.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"results_dir {results}: not writable ({error.strerror}); choose another with --results-dir"
        ) from error
    return False


def check_unused(directory: Path) -> None:
    """That a new run may have a directory: none is there, or one that was just made when it was killed.

    Raises:
        UserError: it holds anything.
    """
    for path in directory.rglob("*") if directory.exists() else ():
        if path != directory / "cells" and not _TEMPORARY.fullmatch(path.name):
            raise UserError(f"run_id '{directory.name}': {directory} exists already; take another id")


def begin(
    files: RunFiles,
    *,
    parameters: Mapping[str, Any],
    command: str,
    flow_run_id: str | None,
    checkpoint: Checkpoint,
    documents: Documents,
    synthetic: bool,
    calibration: str,
    design: Design,
    skipped: Mapping[str, str],
) -> dict[str, Any]:
    """Write the record before the first cell starts; returns it.

    Raises:
        UserError: another run has taken the directory meanwhile.
    """
    check_unused(files.directory)
    source = checkpoint.source
    lengths = sorted({cell.max_length for cell in design.cells})
    record: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "run_id": files.run_id,
        "flow_run_id": flow_run_id,
        "status": "running",
        "broken_off": None,
        "command": command,
        "parameters": dict(parameters),
        "model": {
            "name": parameters["model"],
            "revision": checkpoint.revision,
            "digest": checkpoint.digest,
            "architecture": checkpoint.architecture,
            "labels": checkpoint.class_names,
            "parameters": checkpoint.parameters,
            "max_positions": checkpoint.max_positions,
            "random_weights": checkpoint.random_weights,
            "multiply_adds_per_length": {
                str(length): count
                for length in lengths
                if (count := multiply_adds(source, length)) is not None
            },
        },
        "data": {
            "path": parameters["data"],
            "digest": documents.digest,
            "documents": documents.count,
            "classes": documents.classes,
            "synthetic": synthetic,
            "sampled_from": documents.sampled_from,
        },
        "calibration": calibration,
        "machine": machine.describe(list(design.cores)) | {"load_before": machine.load_average()},
        "versions": package_versions(),
        "git_commit": git_commit(),
        "design": design.as_json(),
        "skipped": dict(skipped),
        "resumed_at": [],
        "started_at": now(),
        "ended_at": None,
        "seconds": {},
        "limits": None,
        "verdict": None,
        "gates": [],
        "failures": [],
        "notes": [],
    }
    files.cells.mkdir(parents=True, exist_ok=True)
    remove_temporary(files)
    write_json(files.record, record)
    return record


def check_same(
    files: RunFiles,
    parameters: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> None:
    """That a run which was broken off would go on as it began: cells of two kinds do not compare.

    Args:
        files: of the run.
        parameters: asked for now, as :func:`begin` records them.
        defaults: of parameters that the run's version did not have.

    Raises:
        UserError: parameters, machine or versions are others; names them.
    """
    record = read_json(files.record)
    versions = package_versions()
    here = {
        "cpu": machine.cpu_model(),
        "flags": machine.cpu_flags(),
        "cores_usable": machine.usable_cores(),
    }
    kept: Mapping[str, Any] = defaults | record["parameters"]
    changes = [
        (name, kept.get(name), value)
        for name, value in parameters.items()
        if name not in names(Purpose.UNMEASURED)
    ]
    if parameters.get("cores") is not None:
        del here["cores_usable"]  # the run's own are compared with its design
    changes += [(name, record["machine"].get(name), value) for name, value in here.items()]
    changes += [(name, record["versions"].get(name), versions.get(name)) for name in _MEASURING]
    texts = [f"{name} was {before}, is {value}" for name, before, value in changes if before != value]
    if texts:
        raise UserError(
            f"resume '{files.run_id}': {'; '.join(texts)}; its finished cells are kept: go on as it "
            "began, or start a new run"
        )


def remove_temporary(files: RunFiles) -> None:
    """Remove what :func:`ptdq.store.disk.replacing` had begun to write when the run was killed."""
    for path in files.directory.rglob(".*"):
        if _TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink()


def go_on(
    files: RunFiles, checkpoint: Checkpoint, documents: Documents, design: Design
) -> dict[str, Any]:
    """The record of a run that was broken off, with the break recorded.

    Raises:
        UserError: model, data or design are not those of the run: results would be mixed.
    """
    record = read_json(files.record)
    for what, found, wanted in (
        ("model", record["model"]["digest"], checkpoint.digest),
        ("data", record["data"]["digest"], documents.digest),
        ("design", record["design"], design.as_json()),
    ):
        if found != wanted:
            raise UserError(
                f"resume '{files.run_id}': the {what} is no longer that of the run; start a new one"
            )
    remove_temporary(files)
    record["resumed_at"].append(now())
    record |= {"status": "running", "broken_off": None, "ended_at": None}
    write_json(files.record, record)
    return record
