"""What tests of several rooms share: homes in temporary directories, a tiny model, a small file.

Heavy libraries are imported inside the fixtures: tests of plain functions do not pay for them.
"""

from __future__ import annotations

import csv
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

CLASSES = ("sport", "health", "cars")
TOKENS = 32
"""Positions of the tiny model; the longest documents have more characters than that."""


def pytest_configure(config: pytest.Config) -> None:
    """Before Prefect is imported, which reads these once: nothing of the user's is touched."""
    # A shell starts background jobs with SIGINT ignored, nohup with SIGHUP: children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    home = Path(tempfile.mkdtemp(prefix="ptdq-tests-"))
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    os.environ["PTDQ_CACHE"] = str(home / "cache")
    os.environ["PTDQ_LOCK"] = str(home / "lock")
    os.environ["PREFECT_HOME"] = str(home / "prefect")
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    os.environ.pop("PREFECT_API_URL", None)
    # Everything here is made on the machine; a test that asked the hub would be a mistake.
    os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first: several processes share the files, and the last one should be short."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as fine-tuning leaves it: a BERT of two layers, its tokenizer, named classes."""
    from tests.support.tiny_bert import save_tiny_bert

    directory = tmp_path_factory.mktemp("tiny") / "model"
    return save_tiny_bert(directory, [_texts()], CLASSES, TOKENS, cut=16)


@pytest.fixture(scope="session")
def tiny_data(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents with what the tiny model says of each as label, every fifth one wrong."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(tiny_model).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    path = tmp_path_factory.mktemp("data") / "test.csv"
    with path.open("w", encoding="utf-8", newline="") as file, torch.inference_mode():
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        for number, text in enumerate(_texts()):
            encoding = tokenizer(text, truncation=True, max_length=TOKENS, return_tensors="pt")
            label = int(model(**encoding).logits.argmax())
            rows.writerow([text, CLASSES[(label + (number % 5 == 0)) % len(CLASSES)]])
    return path


def _texts() -> list[str]:
    """Forty documents of 1 to 40 characters."""
    words = "球队今晚比赛胜负难料医生建议多走少坐新车油耗更低学校放假部队演习"
    return [
        "".join(words[(7 * number + step * (1 + number % 4)) % len(words)] for step in range(number))
        for number in range(1, 41)
    ]


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """A Prefect server with a database of its own; its address. Flows in this process use it."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=300):
        address = PREFECT_API_URL.value()
        assert address is not None
        yield address
