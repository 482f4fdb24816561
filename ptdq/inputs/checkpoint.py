"""Opening the float model: a checkpoint directory, a hub id, a bare configuration or a user's loader.

Whatever it was, the result is one normalized :class:`~ptdq.inputs.source.Source` in the cache, by
content. Checkpoints are untrusted: weights are read from safetensors only, and no code that comes with
them runs unless the user asks for it.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ptdq.errors import UserError
from ptdq.inputs.checkpoint_checks import (
    PIECES,
    check_adapter,
    check_classes,
    check_ids,
    check_parts,
    check_pieces,
)
from ptdq.inputs.source import (
    SHAPE,
    WEIGHTS,
    Source,
    call_loader,
    check_forward,
    read_weights,
    write_weights,
)
from ptdq.inputs.tokenizing import make_fast
from ptdq.problem.heads import other_head
from ptdq.problem.pairs import why_pairs
from ptdq.problem.task import SINGLE, Task, find_task
from ptdq.runtimes.rebuild import plain_linear
from ptdq.store.cache import build_entry, cache_entry, hash_file, mark_used, read_entry
from ptdq.store.disk import digest_of, write_json

_TOKENIZER_FILES = (
    "tokenizer.json", "vocab.txt", "vocab.json", *PIECES,
)  # fmt: skip
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")


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
    """
    directory, commit = _locate(name, revision, random_weights)
    _check_files(name, directory, random_weights, loader)
    classes = sorted(set(labels), key=lambda label: (not label.isdigit(), len(label), label))
    key = digest_of(
        {
            "files": {
                str(path.relative_to(directory)): hash_file(path)
                for path in sorted(directory.iterdir())
                if path.is_file() and not any(path.match(p) for p in _PICKLED)
            },
            "random": [seed, classes] if random_weights else None,
            "classes": classes if loader else None,
            "loader": loader,
            "trust": trust_remote_code,
            "transformers": importlib.metadata.version("transformers"),
            "tokenizing": 1,
            "normalized": 3,
        }
    )
    target = cache_entry("models", key)
    facts = read_entry(target)
    if facts is None:

        def build(fresh: Path) -> dict[str, Any]:
            source = Source(fresh, loader, trust_remote_code)
            return _normalize(name, directory, source, classes, random_weights, seed)

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
    pickled = sorted(path.name for pattern in _PICKLED for path in directory.glob(pattern))
    if pickled:
        raise UserError(
            f"model {name}: its weights are pickled only ({pickled[0]}), which can run code when "
            "read; save them as safetensors (model.save_pretrained(directory)) where you trust them"
        )
    raise UserError(
        f"model {name}: no weights (*.safetensors) in it; to measure the shape alone, "
        "use --random-weights"
    )


def _normalize(
    name: str,
    directory: Path,
    source: Source,
    classes: list[str],
    random_weights: bool,
    seed: int,
) -> dict[str, Any]:
    """Write float32 weights, configuration and tokenizer to the source; returns its facts."""
    left_out = (*_PICKLED, "*.safetensors", "*.safetensors.index.json", "*.onnx", SHAPE)
    for path in directory.iterdir():
        code = path.suffix == ".py" and not source.trust_remote_code
        if path.is_file() and not code and not any(path.match(pattern) for pattern in left_out):
            shutil.copyfile(path, source.directory / path.name)
    write_json(
        source.directory / SHAPE,
        {"loader": source.loader, "trust_remote_code": source.trust_remote_code},
    )
    if source.loader is not None:
        model, class_names = _by_loader(name, directory, source, classes, random_weights, seed)
    else:
        model = _by_transformers(name, directory, source, classes, random_weights, seed)
        config: Any = model.config
        config.save_pretrained(source.directory)
        class_names = [str(config.id2label[i]) for i in range(config.num_labels)]
        model = plain_linear(model)
    write_weights(model, source.directory / WEIGHTS)
    try:
        tokenizer = source.tokenizer()
    except Exception as error:
        raise UserError(f"model {name}: its tokenizer cannot be loaded ({_line(error)})") from error
    if source.loader is None:
        check_ids(name, tokenizer, source.config())
    make_fast(source)
    if source.loader is not None:
        check_forward(source.loader, model, tokenizer("a", return_tensors="np"))
    return {
        "architecture": type(model).__name__,
        "family": source.family(),
        "class_names": class_names,
        "parameters": sum(p.numel() for p in model.parameters()),
        "max_positions": source.longest_input(),
        "pairs": why_pairs(class_names, _config_of(source)),
        **_task_facts(len(class_names), source),
    }


def _task_facts(outputs: int, source: Source) -> dict[str, Any]:
    """What the model answers, as far as its configuration tells; a module of a loader, one class."""
    if source.loader is not None:
        return {"task": SINGLE, "task_why": "a module of a loader"}
    task = find_task(outputs, _config_of(source))
    return {"task": task.task, "task_why": task.why}


def _config_of(source: Source) -> dict[str, Any]:
    """Keys and values of the configuration; empty for a module of a loader."""
    config = source.config()
    return {} if config is None else dict(config.to_dict())


def _by_transformers(
    name: str,
    directory: Path,
    source: Source,
    classes: list[str],
    random_weights: bool,
    seed: int,
) -> Any:
    from transformers import AutoConfig, AutoModelForSequenceClassification
    from transformers.utils import logging

    logging.disable_progress_bar()
    trust = {"trust_remote_code": source.trust_remote_code, "local_files_only": True}
    try:
        config = AutoConfig.from_pretrained(directory, **trust)
    except Exception as error:
        raise UserError(f"model {name}: its config.json cannot be used ({_line(error)})") from error
    if random_weights:
        return _random(name, config, source.trust_remote_code, classes, seed)
    declared = ", ".join(config.architectures or ["none named"])
    known_head = any("SequenceClassification" in a for a in config.architectures or [])
    if config.architectures and not known_head and not source.trust_remote_code:
        raise UserError(f"model {name}: {other_head(declared)}")
    try:
        model, info = AutoModelForSequenceClassification.from_pretrained(
            directory,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **trust,
        )
    except Exception as error:
        raise UserError(f"model {name}: it cannot be loaded ({_line(error)})") from error
    _check_fit(name, model.base_model_prefix, info, declared)
    return model.eval()


def _random(name: str, config: Any, trust_remote_code: bool, classes: list[str], seed: int) -> Any:
    """A model of the configuration's shape, with the classes of the data where it names none."""
    from transformers import AutoModelForSequenceClassification

    one_class = config.num_labels > 1 and config.problem_type in (None, "single_label_classification")
    if one_class and all(str(label).startswith("LABEL_") for label in config.id2label.values()):
        count = max(int(c) for c in classes) + 1 if _all_ids(classes) else len(classes)
        names = [str(i) for i in range(count)] if _all_ids(classes) else classes
        config.id2label = dict(enumerate(names))
        config.label2id = {label: i for i, label in enumerate(names)}
    torch.manual_seed(seed)
    try:
        model = AutoModelForSequenceClassification.from_config(
            config, dtype=torch.float32, trust_remote_code=trust_remote_code
        )
    except ValueError as error:
        raise UserError(f"model {name}: {_line(error)}") from error
    return model.eval()


def _check_fit(name: str, base: str, info: Mapping[str, Any], declared: str) -> None:
    """Raises UserError where transformers did not find a weight for everything, or a place for one.

    Args:
        name: of the model, for the message.
        base: prefix of the names of weights that are not the head's.
        info: what transformers says of loading it.
        declared: the architectures that its configuration names.
    """
    problems = [str(key) for key in info["missing_keys"]]
    mismatched = [str(key[0] if isinstance(key, tuple) else key) for key in info["mismatched_keys"]]
    if mismatched:
        raise UserError(
            f"model {name}: its weights do not fit its configuration: {', '.join(mismatched[:3])} "
            f"({len(mismatched)} in all) have other shapes than config.json says"
        )
    heads = [key for key in problems if key.startswith(("classifier", "score", "pre_classifier"))]
    if heads:
        raise UserError(
            f"model {name}: its head is no sequence classifier (architectures: {declared}; the "
            f"weights lack {', '.join(heads[:2])}); fine-tune it first"
        )
    if problems:
        raise UserError(
            f"model {name}: its weights do not fit its configuration: missing "
            f"{', '.join(problems[:3])} ({len(problems)} in all)"
        )
    # Weights of a head that is not used, and of buffers that older versions saved, are no harm.
    extra = [
        str(key)
        for key in info["unexpected_keys"]
        if str(key).startswith(f"{base}.")
        and ".pooler." not in str(key)
        and not str(key).endswith("_ids")
    ]
    if extra:
        raise UserError(
            f"model {name}: its weights do not fit its configuration: config.json has no place for "
            f"{', '.join(extra[:3])} ({len(extra)} in all)"
        )


def _by_loader(
    name: str,
    directory: Path,
    source: Source,
    classes: list[str],
    random_weights: bool,
    seed: int,
) -> tuple[torch.nn.Module, list[str]]:
    assert source.loader is not None
    torch.manual_seed(seed)
    if random_weights:
        model = call_loader(source.loader, directory).eval()
    else:
        if not (directory / WEIGHTS).is_file():
            raise UserError(f"model {name}: with a loader, its weights must be in {WEIGHTS}")
        shutil.copyfile(directory / WEIGHTS, source.directory / WEIGHTS)
        model = source.skeleton()
        read_weights(model, directory / WEIGHTS)
        (source.directory / WEIGHTS).unlink()
    config_path = directory / "config.json"
    if config_path.is_file():
        named = json.loads(config_path.read_text(encoding="utf-8")).get("id2label")
        if isinstance(named, dict):
            return model, [str(named[key]) for key in sorted(named, key=int)]
    if _all_ids(classes):
        return model, [str(i) for i in range(max(map(int, classes)) + 1)]
    return model, classes


def _all_ids(classes: list[str]) -> bool:
    return bool(classes) and all(label.isascii() and label.isdigit() for label in classes)


def _line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
