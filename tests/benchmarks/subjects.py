"""What the benchmarks of variants measure: two shapes, on documents of one length and of many.

MiniLM, fine-tuned here (:mod:`tests.benchmarks.real_models`), and bert-base with random weights and the
same tokenizer, on the same real descriptions of packages. Of many lengths they are as they are; of one
length several follow each other, so that each is longer than every length asked for and cut to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from ptdq.store.disk import read_json
from tests.benchmarks.real_models import LABEL, TEXT, encoder, make_classifier

DATA = Path(__file__).parents[3] / "shared" / "data" / "packages.csv"
TRAINED = 2000
"""Documents that MiniLM is fine-tuned on: enough for answers worth keeping, and minutes."""
TEST = 400
JOINED = 12
"""Descriptions in a document of one length: so many are longer than the longest of :data:`LENGTHS`."""
LENGTHS = {"many lengths": [256], "one length": [128, 256, 384]}
SHAPES = ("MiniLM", "bert-base")
CASES = [f"{shape}, {lengths}" for shape in SHAPES for lengths in LENGTHS]


def parameters_of(case: str, room: Path) -> dict[str, Any]:
    """Parameters of a case's run: model, documents, lengths. What is not in ``room`` yet is made there.

    Raises:
        UserError: the package of the encoder is not installed.
    """
    shape, _, lengths = case.partition(", ")
    trained = room / "MiniLM"
    if not (trained / "model").is_dir():
        trained.mkdir(parents=True, exist_ok=True)
        make_classifier(DATA, trained, TEST, TRAINED)
        for name in ("test", "calibration"):
            joined(trained / f"{name}.csv", trained / f"{name} of one length.csv")
    ending = " of one length.csv" if lengths == "one length" else ".csv"
    model = trained / "model"
    if shape != "MiniLM":
        model = bert_base(room / "bert-base", read_json(model / "config.json")["id2label"])
    return {
        "model": str(model),
        "random_weights": shape != "MiniLM",
        "data": str(trained / f"test{ending}"),
        "calibration_data": str(trained / f"calibration{ending}"),
        "text_column": TEXT,
        "label_column": LABEL,
        "max_length": LENGTHS[lengths],
    }


def joined(path: Path, target: Path) -> None:
    """Each document followed by the next ones of the file; it keeps its own label."""
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    texts = frame[TEXT].tolist()
    around = texts + texts
    frame[TEXT] = [" ".join(around[first : first + JOINED]) for first in range(len(texts))]
    frame.to_csv(target, index=False)


def bert_base(directory: Path, classes: dict[str, str]) -> Path:
    """Configuration of bert-base, MiniLM's classes, and its tokenizer, which is bert-base's own."""
    from transformers import AutoTokenizer, BertConfig

    if not directory.is_dir():
        AutoTokenizer.from_pretrained(encoder()).save_pretrained(directory)
        names = {int(number): name for number, name in classes.items()}
        ids = {name: number for number, name in names.items()}
        BertConfig(id2label=names, label2id=ids).save_pretrained(directory)
    return directory
