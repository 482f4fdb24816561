"""A text classifier, loaded from the directory of this file.

    from load import Classifier

    classifier = Classifier()
    classifier.classify(["a document", "another"])

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
        max_length: documents are cut to this many tokens, the most that was measured.
    """

    def __init__(self, threads: int = 1) -> None:
        """Load it, and make the kernels of a document of any length; it was measured with one thread."""
        artifact = HERE / "artifact"
        facts = _read(HERE / "classifier.json")
        self.labels: list[str] = facts["labels"]
        self.max_length: int = facts["max_length"]
        # Whoever runs this file trusts its directory, and so the tokenizer's code where it has some.
        trust = _read(artifact / "source.json")["trust_remote_code"]
        self._tokenizer = AutoTokenizer.from_pretrained(
            artifact, local_files_only=True, trust_remote_code=trust
        )
        self._predict = with_padding(open_model(artifact, threads), artifact)
        warm = getattr(self._predict, "warm", None)
        if warm is not None:
            warm(1, self.max_length)

    def logits(self, texts: Sequence[str], max_length: int | None = None) -> NDArray[np.float32]:
        """The model's output, [documents, classes]."""
        encoding = self._tokenizer(
            list(texts),
            max_length=max_length or self.max_length,
            truncation=True,
            padding=True,
            return_tensors="np",
        )
        logits: NDArray[np.float32] = self._predict(encoding)
        return logits

    def classify(self, texts: Sequence[str], max_length: int | None = None) -> list[str]:
        """The name of each document's class."""
        return [self.labels[index] for index in self.logits(texts, max_length).argmax(axis=1)]


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
