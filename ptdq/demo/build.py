"""Makes the files of the demonstration, once for each version of what they are made from."""

from __future__ import annotations

import csv
import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ptdq.store.cache import build_entry, read_entry

from .corpus import Document, make_corpus
from .recipe import Recipe, Tick

SEED = 7

CHECK_LENGTH = 256
"""Tokens to which the documents are cut where the accuracy is taken."""

CHECKED = 400
"""Documents of which the accuracy is taken; they are in random order."""


@dataclass(frozen=True)
class DemoFiles:
    """What the demonstration is run on.

    ``model`` is a directory for ``from_pretrained``, of the model and its tokenizer; ``data``, the
    held-out documents, and ``calibration``, those trained on, are CSV files in UTF-8 with the
    columns ``text`` and ``label`` (0 to 7). ``accuracy`` is that of the fp32 model on the first
    ``CHECKED`` of ``data`` at ``CHECK_LENGTH`` tokens, when it was made; ``cached`` says that this was
    earlier.
    """

    model: Path
    data: Path
    calibration: Path
    accuracy: float
    cached: bool


def make_demo(
    cache: Path, *, seed: int = SEED, progress: bool = True, recipe: Recipe | None = None
) -> DemoFiles:
    """The files of the demonstration, from below ``cache`` or else made there (under a minute).

    Progress goes to standard error: bars on a terminal, a line for each step elsewhere, nothing
    where ``progress`` is False. Raises :class:`OSError` where ``cache`` cannot be written.
    """
    recipe = recipe or Recipe()
    entry = cache / f"demo-{_key(seed, recipe)}"
    facts = read_entry(entry)
    cached = facts is not None
    if facts is None:
        facts = build_entry(entry, lambda place: _build(place, seed, recipe, progress))
    return DemoFiles(
        model=entry / "model",
        data=entry / "test.csv",
        calibration=entry / "train.csv",
        accuracy=float(facts["accuracy"]),
        cached=cached,
    )


def _key(seed: int, recipe: Recipe) -> str:
    """16 hexadecimal digits that change with anything that the files depend on."""
    digest = hashlib.sha256()
    sources = resources.files(__package__).iterdir()
    for source in sorted(sources, key=lambda item: item.name):
        if source.name.endswith((".py", ".toml")):
            digest.update(hashlib.sha256(source.name.encode()).digest())
            digest.update(hashlib.sha256(source.read_bytes()).digest())
    versions = map(metadata.version, ("torch", "transformers", "tokenizers"))
    digest.update(repr((seed, asdict(recipe), *versions)).encode())
    return digest.hexdigest()[:16]


def _build(place: Path, seed: int, recipe: Recipe, progress: bool) -> dict[str, Any]:
    """Fills ``place`` and gives the facts to keep with it."""
    # transformers takes seconds to import, and every run imports this file.
    from .model import accuracy, new_model, train, train_tokenizer

    shape = recipe.shape
    with _bar("corpus", recipe.train_size + recipe.test_size, progress) as tick:
        corpus = make_corpus(recipe.train_size, recipe.test_size, seed, tick)
        _write_csv(place / "test.csv", corpus.test)
        _write_csv(place / "train.csv", corpus.train)
    with _bar("tokenizer", 1, progress) as tick:
        tokenizer = train_tokenizer(document.text for document in corpus.train)
        tick()
    model = new_model(len(tokenizer), shape, seed)
    with _bar("training", shape.ticks, progress) as tick:
        train(model, tokenizer, corpus.train, shape, seed, tick)
    checked = corpus.test[:CHECKED]
    with _bar("checking", len(checked), progress) as tick:
        score = accuracy(model, tokenizer, checked, CHECK_LENGTH, tick)
    tokenizer.save_pretrained(place / "model")
    with _silent_transformers():
        model.save_pretrained(place / "model")
    return {"accuracy": score, "check_length": CHECK_LENGTH, "seed": seed, "recipe": asdict(recipe)}


def _write_csv(path: Path, documents: Sequence[Document]) -> None:
    """The documents as CSV: UTF-8, columns ``text`` and ``label``."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("text", "label"))
        writer.writerows((document.text, document.label) for document in documents)


@contextmanager
def _bar(step: str, total: int, progress: bool) -> Iterator[Tick]:
    """A function that moves the progress bar of one step on by one."""
    if progress and not sys.stderr.isatty():
        print(f"demo: {step}", file=sys.stderr, flush=True)
    shown = progress and sys.stderr.isatty()
    with tqdm(total=total, desc=f"{step:>9}", disable=not shown, file=sys.stderr) as bar:

        def tick() -> None:
            bar.update()

        yield tick


@contextmanager
def _silent_transformers() -> Iterator[None]:
    """Without the bar that transformers shows while it writes a model."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
