"""From a run and a variant to a directory that can be shipped: whole, or not there at all."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ptdq.errors import UserError
from ptdq.export.card import model_card
from ptdq.problem.task import logit
from ptdq.runtimes import ALWAYS, RUNTIME
from ptdq.store.disk import write_json, write_text
from ptdq.store.layout import RunFiles
from ptdq.store.run import Run, load
from ptdq.variants import registry
from ptdq.variants.artifact import open_artifact
from ptdq.variants.measured import measured_artifact

ARTIFACT = "artifact"
REQUIREMENTS = "requirements.txt"
FACTS = "classifier.json"


def export(files: RunFiles, name: str, out: Path) -> Path:
    """Write the artifact of the variant ``name`` with model card and loader to ``out``.

    Args:
        files: of a finished run.
        name: of one of its variants.
        out: a directory that does not exist, or is empty.

    Raises:
        UserError: it cannot be exported there, or at all; says why and what to do.
    """
    run = load(files)
    target = _check_target(out)
    variant = registry.get(name)
    artifact = measured_artifact(run, name, variant)
    exported = variant.of(artifact.directory).exported
    if RUNTIME not in exported:
        raise UserError(f"variant {name} cannot be exported: its class names no loader (`exported`)")
    loader = {**ALWAYS, **exported}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
            new = Path(scratch) / target.name
            new.mkdir()
            shutil.copytree(artifact.directory, new / ARTIFACT)
            # The copy is looked at, not the entry: that could still change in between.
            open_artifact(new / ARTIFACT, artifact.settings, artifact.digest)
            # The cache keeps its entries to itself.
            (new / ARTIFACT).chmod(new.stat().st_mode)
            for place, path in loader.items():
                shutil.copyfile(path, new / place)
            needs = requirements(loader.values(), run.get("versions", default={}))
            write_text(new / REQUIREMENTS, "".join(f"{line}\n" for line in needs))
            write_json(new / FACTS, _facts(run, name))
            # Eager runtimes build the torch module; the others have a graph of their own.
            own = artifact.settings.loader if "eager.py" in exported else None
            write_text(new / "README.md", model_card(run, name, variant.summary, artifact, own))
            if target.exists():
                target.rmdir()
            new.rename(target)
    except OSError as error:
        raise UserError(f"out {out}: it cannot be written ({error.strerror or error})") from error
    return out


def requirements(loader: Iterable[Path], versions: Mapping[str, str]) -> list[str]:
    """The packages that the loader's files import, in the versions of the run."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in loader)
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", text, re.MULTILINE))
    # Not every index has what follows the plus (a build for CPUs).
    pins = {name: version.split("+")[0] for name, version in versions.items() if name in imported}
    # A run may be anybody's, and a line more would be an option of pip.
    if wrong := [name for name, version in pins.items() if not re.fullmatch(r"[\w.!-]+", version)]:
        raise UserError(f"the run's version of {wrong[0]} is none; its run.json is damaged")
    return [f"{name}=={version}" for name, version in pins.items()]


def _check_target(out: Path) -> Path:
    """Where the directory goes; raises UserError where something is there."""
    target = out.resolve()
    if target.exists() and not target.is_dir():
        raise UserError(f"out {out}: it is a file; name a directory that is new or empty")
    if target.is_dir() and any(target.iterdir()):
        raise UserError(f"out {out}: the directory is not empty; name one that is new or empty")
    return target


def _facts(run: Run, name: str) -> dict[str, object]:
    """What the loader must know besides the artifact, and where it comes from."""
    return {
        "labels": run.get("model", "labels", default=[]),
        "pairs": run.record.data.pairs,
        "task": run.task,
        "cut": logit(run.get("parameters", "threshold", default=0.5)),
        "max_length": max(cell["max_length"] for cell in run.good if cell["variant"] == name),
        "variant": name,
        "run_id": run.files.run_id,
    }
