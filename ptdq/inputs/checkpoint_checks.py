"""What is looked at in a checkpoint's files before anything is loaded: each refusal says what to do."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path, PurePath
from typing import Any

from ptdq.errors import UserError

ADAPTER = "adapter_config.json"
PIECES = ("spm.model", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")
"""Vocabularies of SentencePiece, by the names that families give them."""
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")
"""Files of weights that can run code when they are read: they never are."""
_MERGE = (
    'python -c "from peft import AutoPeftModelForSequenceClassification as A; '
    "A.from_pretrained('{name}', num_labels=N).merge_and_unload().save_pretrained('merged')\""
)


def check_adapter(name: str, directory: Path) -> None:
    """Raises UserError where the directory is what fine-tuning added, and not a model."""
    if (directory / ADAPTER).is_file():
        base = _read(directory / ADAPTER).get("base_model_name_or_path")
        raise UserError(
            f"model {name}: it is an adapter ({ADAPTER}), trained for {base or 'another model'}; "
            f"merge it first (pip install peft; N: its number of classes): {_MERGE.format(name=name)}, "
            "put the tokenizer's files beside it, and use --model merged"
        )


def check_parts(name: str, directory: Path) -> None:
    """Raises UserError where the index of weights names files that are not in the directory."""
    for index in sorted(directory.glob("*.safetensors.index.json")):
        files = _read(index).get("weight_map")
        for file in sorted(set(files.values())) if isinstance(files, dict) else []:
            if file != PurePath(str(file)).name or file in ("", "..", "."):
                raise UserError(f"model {name}: {index.name} names {file}, which is not in its directory")
            if not (directory / file).is_file():
                raise UserError(f"model {name}: {file} is missing, which {index.name} names")


def check_classes(name: str, directory: Path) -> None:
    """Raises UserError where ``id2label`` has gaps, or two classes of one name."""
    named = _read(directory / "config.json").get("id2label")
    if not isinstance(named, dict):
        return
    where = f"model {name}: id2label in its config.json"
    if not all(str(key).isdecimal() for key in named):
        key = next(key for key in named if not str(key).isdecimal())
        raise UserError(f"{where} has the key '{key}'; keys are the ids 0 to {len(named) - 1}")
    ids = {int(key) for key in named}
    if lacking := sorted(set(range(len(named))) - ids):
        listed = ", ".join(map(str, sorted(ids)[:10]))
        raise UserError(
            f"{where} has no name for class id {lacking[0]} (it has {listed}); name each from 0 to "
            f"{len(named) - 1}, as the head's outputs are counted"
        )
    counts = Counter(str(label).strip() for label in named.values())
    if twice := [label for label, count in counts.items() if count > 1]:
        of = ", ".join(str(key) for key, label in named.items() if str(label).strip() == twice[0])
        raise UserError(f"{where} calls classes {of} alike, '{twice[0]}'; give each class its own name")


def check_pieces(name: str, directory: Path) -> None:
    """Raises UserError where the tokenizer is of a package that is not installed."""
    if any((directory / file).is_file() for file in ("tokenizer.json", "vocab.txt", "vocab.json")):
        return
    pieces = next((file for file in PIECES if (directory / file).is_file()), None)
    if pieces is not None and importlib.util.find_spec("sentencepiece") is None:
        raise UserError(
            f"model {name}: its tokenizer is {pieces} alone, which the package sentencepiece reads "
            "(pip install sentencepiece protobuf)"
        )


def check_ids(name: str, tokenizer: Any, config: Any) -> None:
    """Raises UserError where the tokenizer gives ids that the model has no embedding for.

    Args:
        name: of the model.
        tokenizer: of transformers.
        config: of transformers, for the number of embeddings.
    """
    rows = int(config.get_text_config().vocab_size)
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    special = set(tokenizer.all_special_tokens)
    if not vocabulary.keys() - special:
        raise UserError(
            f"model {name}: its tokenizer knows no words: its vocabulary is in no file of the name that "
            f"{type(tokenizer).__name__} looks for; save it with tokenizer.save_pretrained"
        )
    used = set(tokenizer("a")["input_ids"])
    beyond = {
        index: token
        for token, index in vocabulary.items()
        if index >= rows and (token not in special or index in used)
    }
    if beyond:
        index = min(beyond)
        raise UserError(
            f"model {name}: its tokenizer gives {beyond[index]!r} the id {index}, and the model has "
            f"embeddings for {rows}; put the tokenizer beside it that it was trained with"
        )


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; empty where it is none: whoever needs it says so."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
