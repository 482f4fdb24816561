"""An artifact: a prepared variant on disk, with the proof that it survives a reload.

What all variants have in common: the directory's layout, sizes and hashes, the cache; the proof is in
:mod:`ptdq.variants.proof`. A variant's own files lie beside ``artifact.json``, which is written last, so
a directory without it is no artifact. Nothing in it is executed on reading, unless the variant's
docstring says so.
"""

from __future__ import annotations

import importlib.metadata
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptdq.errors import UserError, line_of
from ptdq.inputs.tokenizing import Tokenizer, open_tokenizer
from ptdq.store.cache import put_in_place, replaceable, staging
from ptdq.store.disk import digest_of, file_digest, read_json, write_json
from ptdq.variants.base import Calibration, Inputs, Settings, Variant

# Neither torch nor transformers at the top: workers of runtimes that need neither read artifacts too.
if TYPE_CHECKING:
    from ptdq.inputs.source import Source

MANIFEST = "artifact.json"
FORMAT = 2
"""Of the manifest; 1 had a digest of files that the manifest itself named."""
PROOF = 3
"""Of what an artifact has shown before it is in the cache; 1 was a reload alone, 2 no instruction set."""
INSTRUCTIONS = "instructions"
"""Of the details: the instruction set of its products."""
_VERSIONED = ("torch", "transformers", "torchao", "onnx", "onnxruntime", "openvino", "nncf")


@dataclass(frozen=True)
class Artifact:
    """A prepared variant.

    Attributes:
        directory: where its files are.
        variant: name of the variant.
        settings: what it was prepared with, as the run asked for it.
        digest: content hash of its files and of what its manifest says of them.
        size_bytes: sum of its files' sizes.
        state_dict_bytes: size of ``torch.save(state_dict())``; None without a torch module.
        converted: qualified names of converted modules.
        kept_float: qualified names of modules with parameters that stayed float32.
        prepare_seconds: how long making it took, when it was made.
        details: what else the variant says.
    """

    directory: Path
    variant: str
    settings: Settings
    digest: str
    size_bytes: int
    state_dict_bytes: int | None
    converted: list[str]
    kept_float: list[str]
    prepare_seconds: float
    details: dict[str, Any]

    def tokenizer(self) -> Tokenizer:
        """The tokenizer that the artifact carries."""
        return open_tokenizer(self.directory, self.settings)


def cache_key(model_digest: str, variant: Variant, settings: Settings, calibration: str) -> str:
    """Identity of an artifact before it is made.

    Content of the model and of the calibration data, variant and its version, settings, versions of
    the packages that have a say, and the CPU's flags (compiled variants depend on them); its model too
    where what is fastest there was chosen.
    """
    from ptdq.host.machine import cpu_flags, cpu_model

    return digest_of(
        {
            "model": model_digest,
            "variant": f"{type(variant).__module__}:{type(variant).__qualname__}",
            "version": variant.version,
            "proof": PROOF,
            "settings": asdict(settings) | {"tune_minutes": settings.tune_minutes > 0},
            "calibration": calibration if variant.calibrates else None,
            "packages": versions(),
            "cpu": cpu_flags(),
            "machine": cpu_model() if variant.tunes else None,
        }
    )


def versions() -> dict[str, str]:
    """Versions of the packages that have a say in an artifact, those that are installed."""
    installed = {}
    for name in _VERSIONED:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def make_artifact(
    variant: Variant,
    source: Source,
    settings: Settings,
    calibration: Calibration | None,
    target: Path,
    examples: Sequence[Inputs] | None = None,
) -> Artifact:
    """Prepare ``variant`` and put the artifact at ``target``, whole or not at all.

    Args:
        variant: what to make.
        source: the float model.
        settings: of the preparation.
        calibration: for variants that calibrate.
        target: where to put it.
        examples: what :func:`ptdq.variants.proof.prove` compares it on; made up where there are none.

    Raises:
        UserError: nothing was converted, the artifact is not the model that it was made of, or the
            variant cannot take this model.
    """
    from ptdq.inputs.examples import read_examples
    from ptdq.variants.instructions import instructions
    from ptdq.variants.proof import prove
    from ptdq.variants.steps import step

    with staging(target) as directory:
        source.copy_shape(directory)
        started = time.perf_counter()
        prepared = variant.prepare(source, directory, settings, calibration)
        seconds = time.perf_counter() - started
        if variant.quantizes and not prepared.converted:
            raise nothing_converted(variant, source, settings)
        state_dict_bytes = None
        if prepared.module is not None:
            import torch

            buffer = io.BytesIO()
            torch.save(prepared.module.state_dict(), buffer)
            state_dict_bytes = buffer.tell()
            del buffer
        given = read_examples(source, None) if examples is None else examples
        step("comparing the artifact with the float model")
        prove(variant, source, directory, settings, prepared.predict, given)
        manifest = {
            "format": FORMAT,
            "variant": variant.name,
            "settings": asdict(settings),
            "state_dict_bytes": state_dict_bytes,
            "converted": prepared.converted,
            "kept_float": prepared.kept_float,
            "prepare_seconds": seconds,
            "versions": versions(),
            "calibration": calibration.origin if calibration and variant.calibrates else None,
            "details": {
                **prepared.details,
                INSTRUCTIONS: instructions(variant, prepared, directory, settings, given),
            },
        }
        manifest |= {
            "digest": content_digest(directory, manifest),
            "size_bytes": sum(path.stat().st_size for path in content(directory).values()),
        }
        write_json(directory / MANIFEST, manifest)
        with replaceable(target):
            put_in_place(directory, target)
    return open_artifact(target, settings)


def nothing_converted(variant: Variant, source: Source, settings: Settings) -> UserError:
    """What to say where a variant that quantizes found nothing to quantize."""
    from ptdq.inputs.source import CONVOLUTIONS, OF_CONVOLUTIONS

    names = ["modules", "keep_float", *(["keep_float_mixed"] if variant.takes_mixed else [])]
    given = ", ".join(f"`{name}` {list(getattr(settings, name))}" for name in names)
    text = f"variant {variant.name}: no module was converted with {given}"
    if any(isinstance(child, CONVOLUTIONS) for child in source.skeleton().modules()):
        text += f"; {OF_CONVOLUTIONS}"
    return UserError(text)


def content(directory: Path) -> dict[str, Path]:
    """Every file of an artifact but its manifest, by its path in the artifact."""
    paths = {path.relative_to(directory).as_posix(): path for path in sorted(directory.rglob("*"))}
    return {name: path for name, path in paths.items() if name != MANIFEST and not path.is_dir()}


def content_digest(directory: Path, manifest: Mapping[str, Any]) -> str:
    """Hash of an artifact as it lies there: the exact set of its files, and what its manifest says.

    Raises:
        UserError: a file is a link, which could lead anywhere.
    """
    files = content(directory)
    if links := [name for name, path in files.items() if path.is_symlink()]:
        raise UserError(f"{directory}: {links[0]} is a link; an artifact holds none")
    said = {name: value for name, value in manifest.items() if name not in ("digest", "size_bytes")}
    hashes = {name: file_digest(path) for name, path in files.items()}
    return digest_of({"files": hashes, "manifest": said})


def open_artifact(directory: Path, settings: Settings, digest: str | None = None) -> Artifact:
    """Read an artifact, whole and as it was made, or not at all.

    Args:
        directory: where it is. Nothing in it is trusted: which code may run is in ``settings``.
        settings: what it must have been prepared with.
        digest: the content that a run recorded; None where none did yet.

    Raises:
        UserError: there is none, it is of another format, or it is not what is asked for.
    """
    manifest = read_json(directory / MANIFEST)
    if manifest.get("format") != FORMAT:
        raise UserError(f"{directory}: artifact of format {manifest.get('format')}, expected {FORMAT}")
    try:
        actual = content_digest(directory, manifest)
        same = actual == manifest["digest"] and digest in (None, actual)
        if not same or Settings.from_json(manifest["settings"]) != settings:
            raise UserError(f"{directory}: the artifact is not the one that was prepared")
        kept = (
            "variant", "digest", "size_bytes", "state_dict_bytes", "converted", "kept_float",
            "prepare_seconds", "details",
        )  # fmt: skip
        return Artifact(directory, settings=settings, **{name: manifest[name] for name in kept})
    except (OSError, KeyError, TypeError) as error:
        raise UserError(f"{directory}: the artifact is damaged ({line_of(error)})") from error
