"""The child process that normalizes a model: ``python -m ptdq.inputs.normalize request.json``.

It loads the model as transformers, or the user's loader, makes it, and writes float32 weights,
configuration and tokenizer: a :class:`~ptdq.inputs.source.Source`. Code that comes with a checkpoint
runs here, where the user allows it.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch

from ptdq.errors import UserError
from ptdq.inputs.checkpoint_checks import PICKLED, check_ids
from ptdq.inputs.in_child import answer
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
from ptdq.problem.task import SINGLE, find_task
from ptdq.runtimes.rebuild import plain_linear
from ptdq.store.disk import write_json


def main(arguments: list[str]) -> int:
    """Normalize what the request names; see :func:`ptdq.inputs.in_child.answer`."""
    return answer(arguments, lambda request: _normalize(_Asked.of(request)))


@dataclass(frozen=True)
class _Asked:
    """What the request names.

    Attributes:
        name: of the model, for messages.
        directory: of the checkpoint.
        source: where the normalized model goes.
        classes: labels of the data, sorted.
        random_weights: build the shape alone.
        seed: of random weights.
    """

    name: str
    directory: Path
    source: Source
    classes: list[str]
    random_weights: bool
    seed: int

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Self:
        """From the request's JSON."""
        source = Source(Path(request["target"]), request["loader"], request["trust_remote_code"])
        rest = (request["classes"], request["random_weights"], request["seed"])
        return cls(request["name"], Path(request["directory"]), source, *rest)


def _normalize(asked: _Asked) -> dict[str, Any]:
    """Write float32 weights, configuration and tokenizer to the source; returns its facts."""
    name, source = asked.name, asked.source
    left_out = (*PICKLED, "*.safetensors", "*.safetensors.index.json", "*.onnx", SHAPE)
    for path in asked.directory.iterdir():
        code = path.suffix == ".py" and not source.trust_remote_code
        if path.is_file() and not code and not any(path.match(pattern) for pattern in left_out):
            shutil.copyfile(path, source.directory / path.name)
    write_json(
        source.directory / SHAPE,
        {"loader": source.loader, "trust_remote_code": source.trust_remote_code},
    )
    if source.loader is not None:
        model, class_names = _by_loader(asked)
    else:
        model = _by_transformers(asked)
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
        "pads": source.pads(),
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


def _by_transformers(asked: _Asked) -> Any:
    from transformers import AutoConfig, AutoModelForSequenceClassification
    from transformers.utils import logging

    logging.disable_progress_bar()
    name, directory, source = asked.name, asked.directory, asked.source
    trust = {"trust_remote_code": source.trust_remote_code, "local_files_only": True}
    try:
        config = AutoConfig.from_pretrained(directory, **trust)
    except Exception as error:
        raise UserError(f"model {name}: its config.json cannot be used ({_line(error)})") from error
    if asked.random_weights:
        return _random(name, config, source.trust_remote_code, asked.classes, asked.seed)
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


def _by_loader(asked: _Asked) -> tuple[torch.nn.Module, list[str]]:
    directory, source, classes = asked.directory, asked.source, asked.classes
    assert source.loader is not None
    torch.manual_seed(asked.seed)
    if asked.random_weights:
        model = call_loader(source.loader, directory).eval()
    else:
        if not (directory / WEIGHTS).is_file():
            raise UserError(f"model {asked.name}: with a loader, its weights must be in {WEIGHTS}")
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
