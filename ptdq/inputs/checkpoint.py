"""Opening the float model: a checkpoint directory, a hub id, a bare configuration or a user's loader.

Whatever it was, the result is one normalized :class:`~ptdq.inputs.source.Source` in the cache, by
content; a process of its own makes it (:mod:`ptdq.inputs.normalize`). Checkpoints are untrusted:
weights are read from safetensors only, and no code that comes with them runs unless the user asks
for it.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptdq.errors import UserError
from ptdq.inputs.checkpoint_checks import (
    PICKLED,
    PIECES,
    check_adapter,
    check_classes,
    check_parts,
    check_pieces,
)
from ptdq.inputs.in_child import ask_child
from ptdq.inputs.source import Source
from ptdq.problem.task import SINGLE, Task
from ptdq.store.cache import build_entry, cache_entry, hash_file, mark_used, read_entry
from ptdq.store.disk import digest_of

_TOKENIZER_FILES = (
    "tokenizer.json", "vocab.txt", "vocab.json", *PIECES,
)  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """The float model that a run starts from.

    Attributes:
        name: what the user named.
        revision: of a hub model, the commit.
        digest: content hash of weights, configuration and tokenizer.
        directory: the normalized source.
        architecture: name of the model's class.
        class_names: by class id.
        parameters: number of parameters.
        max_positions: longest input; None where the model sets no bound.
        pads: whether documents of different lengths can be a batch.
        random_weights: quality figures would mean nothing.
        loader: what builds the module, as the run's parameters name it.
        trust_remote_code: whether code that comes with the checkpoint may run, as they say.
        family: what transformers calls the architecture; empty for a module of a loader.
        pairs: why it is a model of pairs of texts, in words; empty where nothing says so.
        task: what it is measured at; None where its configuration does not say.
        task_why: how that is known, in words.
    """

    name: str
    revision: str | None
    digest: str
    directory: Path
    architecture: str
    class_names: list[str]
    parameters: int
    max_positions: int | None
    random_weights: bool
    pads: bool = True
    loader: str | None = None
    trust_remote_code: bool = False
    family: str = ""
    pairs: str = ""
    task: Task | None = SINGLE
    task_why: str = ""

    @property
    def source(self) -> Source:
        return Source(self.directory, self.loader, self.trust_remote_code)


def open_checkpoint(
    name: str,
    *,
    labels: Sequence[str],
    revision: str | None = None,
    random_weights: bool = False,
    loader: str | None = None,
    trust_remote_code: bool = False,
    seed: int = 0,
) -> Checkpoint:
    """Find, check and normalize the model.

    Args:
        name: checkpoint directory, or hub id.
        labels: labels of the data; they give the classes of a model that names none.
        revision: of a hub model.
        random_weights: build the shape alone.
        loader: ``package.module:function``, for models that transformers does not know.
        trust_remote_code: run code that comes with the checkpoint.
        seed: of random weights.

    Raises:
        UserError: the model cannot be used; says why and what to do.
        RunFailed: the process that reads it died, or failed in a way that nobody expected.
    """
    directory, commit = _locate(name, revision, random_weights)
    _check_files(name, directory, random_weights, loader)
    classes = sorted(set(labels), key=lambda label: (not label.isdigit(), len(label), label))
    key = digest_of(
        {
            "files": {
                str(path.relative_to(directory)): hash_file(path)
                for path in sorted(directory.iterdir())
                if path.is_file() and not any(path.match(p) for p in PICKLED)
            },
            "random": [seed, classes] if random_weights else None,
            "classes": classes if loader else None,
            "loader": loader,
            "trust": trust_remote_code,
            "transformers": importlib.metadata.version("transformers"),
            "tokenizing": 1,
            "normalized": 4,
        }
    )
    target = cache_entry("models", key)
    facts = read_entry(target)
    if facts is None:

        def build(fresh: Path) -> dict[str, Any]:
            return ask_child(
                "ptdq.inputs.normalize",
                {
                    "name": name,
                    "directory": str(directory),
                    "target": str(fresh),
                    "loader": loader,
                    "trust_remote_code": trust_remote_code,
                    "classes": classes,
                    "random_weights": random_weights,
                    "seed": seed,
                },
                doing=f"reading model {name}",
                log_name=f"model-{key[:12]}",
            )

        facts = build_entry(target, build)
    mark_used(target)
    return Checkpoint(
        name,
        commit,
        key,
        target,
        random_weights=random_weights,
        loader=loader,
        trust_remote_code=trust_remote_code,
        **facts,
    )


def _locate(name: str, revision: str | None, random_weights: bool) -> tuple[Path, str | None]:
    """The model's directory on this machine, downloaded from the hub where it is an id."""
    local = Path(name)
    if local.is_dir():
        return local, None
    if local.exists():
        raise UserError(f"model {name}: it is a file; name the checkpoint's directory")
    looks_like_id = name.count("/") <= 1 and not name.startswith((".", "/", "~"))
    if not looks_like_id:
        raise UserError(
            f"model {name}: no such directory; --model takes a checkpoint's directory, or an id on "
            "the model hub"
        )
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["*.json", "*.txt", "*.model", "*.py"]
    try:
        commit = HfApi().model_info(name, revision=revision).sha
        path = snapshot_download(
            name,
            revision=commit,
            allow_patterns=patterns if random_weights else [*patterns, "*.safetensors"],
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"model {name}: no such directory, and the model hub does not have it ({reason})"
        ) from error
    except Exception as error:
        # httpx raises its own family of errors, which the hub's client passes on unwrapped.
        if not type(error).__module__.startswith(("httpx", "httpcore")):
            raise
        raise UserError(
            f"model {name}: no such directory, and the model hub cannot be reached ({error})"
        ) from error
    return Path(path), commit


def _check_links(name: str, directory: Path) -> None:
    """Raises UserError where a link leads out of the model: it could be any file of this machine.

    The hub's cache is made of links, from ``snapshots/COMMIT`` into ``blobs`` beside it.
    """
    allowed = [directory.resolve()]
    if directory.resolve().parent.name == "snapshots":
        allowed.append(directory.resolve().parents[1] / "blobs")
    for path in sorted(directory.iterdir()):
        if path.is_symlink() and not any(path.resolve().is_relative_to(place) for place in allowed):
            raise UserError(
                f"model {name}: {path.name} is a link out of its directory, to {path.resolve()}; "
                "put the file itself there"
            )


def _check_files(name: str, directory: Path, random_weights: bool, loader: str | None) -> None:
    _check_links(name, directory)
    check_adapter(name, directory)
    if loader is None and not (directory / "config.json").is_file():
        raise UserError(f"model {name}: no config.json in it; is it a checkpoint's directory?")
    if not any((directory / file).is_file() for file in _TOKENIZER_FILES):
        raise UserError(
            f"model {name}: no tokenizer in it (one of {', '.join(_TOKENIZER_FILES)}); save the "
            "tokenizer beside the model with tokenizer.save_pretrained"
        )
    check_classes(name, directory)
    check_pieces(name, directory)
    check_parts(name, directory)
    if random_weights or any(directory.glob("*.safetensors")):
        return
    pickled = sorted(path.name for pattern in PICKLED for path in directory.glob(pattern))
    if pickled:
        raise UserError(
            f"model {name}: its weights are pickled only ({pickled[0]}), which can run code when "
            "read; save them as safetensors (model.save_pretrained(directory)) where you trust them"
        )
    raise UserError(
        f"model {name}: no weights (*.safetensors) in it; to measure the shape alone, "
        "use --random-weights"
    )
