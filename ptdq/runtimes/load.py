"""A text classifier, a model of numbers or a reranker, loaded from the directory of this file.

    from load import Classifier

    classifier = Classifier()
    classifier.classify(["a document", "another"])

README.md has the call for this model.

Needs what requirements.txt says, and nothing of ptdq, which made and measured it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from padding import with_padding  # type: ignore[import-not-found]
from runtime import open_model  # type: ignore[import-not-found]
from transformers import AutoTokenizer

HERE = Path(__file__).resolve().parent


class Classifier:
    """From documents to classes. Documents of one call are a batch, padded to its longest.

    Attributes:
        labels: names of the classes, by class id.
        max_length: documents are cut to this many tokens, the most that was measured; of pairs, the
            longer text first.
        reads_pairs: whether it was measured on pairs of texts.
        task: what it was measured at, which decides between ``classify``, ``predict`` and ``rank``.
        cut: output over which a label is given, of the tasks binary and multi-label.
    """

    def __init__(self, threads: int = 1) -> None:
        """Load it, and make the kernels of a document of any length; it was measured with one thread."""
        artifact = HERE / "artifact"
        facts = _read(HERE / "classifier.json")
        self.labels: list[str] = facts["labels"]
        self.max_length: int = facts["max_length"]
        self.reads_pairs: bool = facts["pairs"]
        self.task: str = facts["task"]
        self.cut: float = facts["cut"]
        # Whoever runs this file trusts its directory, and so the tokenizer's code where it has some.
        trust = _read(artifact / "source.json")["trust_remote_code"]
        self._tokenizer = AutoTokenizer.from_pretrained(
            artifact, local_files_only=True, trust_remote_code=trust
        )
        self._predict = with_padding(open_model(artifact, threads), artifact)
        warm = getattr(self._predict, "warm", None)
        if warm is not None:
            warm(1, self.max_length)

    def logits(
        self, texts: Sequence[str], max_length: int | None = None, pairs: Sequence[str] | None = None
    ) -> NDArray[np.float32]:
        """The model's output, [documents, classes].

        Args:
            texts: documents, or first texts of pairs.
            max_length: another one than that of this object.
            pairs: second texts of pairs.

        Raises:
            ValueError: it was measured on pairs, and there are no second texts; or the reverse.
        """
        if self.reads_pairs != (pairs is not None):
            kind = "pairs of texts: give pairs=" if self.reads_pairs else "single texts: give no pairs"
            raise ValueError(f"this model was measured on {kind}")
        encoding = self._tokenizer(
            list(texts),
            None if pairs is None else list(pairs),
            max_length=max_length or self.max_length,
            truncation=True,
            padding=True,
            return_tensors="np",
        )
        logits: NDArray[np.float32] = self._predict(encoding)
        return logits

    def classify(
        self, texts: Sequence[str], max_length: int | None = None, pairs: Sequence[str] | None = None
    ) -> list[str] | list[list[str]]:
        """The name of each document's class, or of a multi-label model those of its labels.

        Args:
            texts: as of :meth:`logits`, as are the others.
            max_length: as there.
            pairs: as there.

        Raises:
            ValueError: the model answers something else.
        """
        self._check("classify", "single-label", "binary", "multi-label")
        logits = self.logits(texts, max_length, pairs)
        if self.task == "multi-label":
            return [
                [name for name, given in zip(self.labels, row, strict=True) if given]
                for row in logits > self.cut
            ]
        chosen = logits[:, 0] > self.cut if self.task == "binary" else logits.argmax(axis=1)
        return [self.labels[int(index)] for index in chosen]

    def predict(
        self, texts: Sequence[str], max_length: int | None = None, pairs: Sequence[str] | None = None
    ) -> list[float]:
        """The number that a regression model gives for each document; arguments and errors as above."""
        self._check("predict", "regression")
        return [float(value) for value in self.logits(texts, max_length, pairs)[:, 0]]

    def rank(
        self, query: str, candidates: Sequence[str], max_length: int | None = None
    ) -> list[tuple[int, float]]:
        """The place of each candidate in the list and its score, best first; all are one batch."""
        self._check("rank", "rerank")
        scores = self.logits([query] * len(candidates), max_length, candidates)[:, 0]
        return [(int(place), float(scores[place])) for place in (-scores).argsort(kind="stable")]

    def _check(self, call: str, *tasks: str) -> None:
        if self.task not in tasks:
            raise ValueError(f"{call}: this model was measured at {self.task}; see README.md for its use")


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
