"""What befalls nights: faults, a worse model, a slower machine, a disk that is nearly full."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol
from uuid import UUID

import psutil

from tests.benchmarks import growth
from tests.support.small_disk import fill

DOCUMENTS = 200
CALIBRATION = 100
WORSE, SLOWER, FULL = "a worse model", "a slower machine", "the disk is nearly full"


class Target(Protocol):
    """What is befallen."""

    scratch: Path

    @property
    def results(self) -> Path: ...

    @property
    def model(self) -> Path: ...

    def of_run(self, run_id: UUID) -> list[psutil.Process]: ...

    def restart_server(self) -> None: ...


def to(number: int, whom: Callable[[psutil.Process], bool]) -> Callable[[Target, UUID], None]:
    def inject(nights: Target, run_id: UUID) -> None:
        for process in nights.of_run(run_id):
            with contextlib.suppress(psutil.Error):
                if whom(process):
                    process.send_signal(number)

    return inject


def is_worker(process: psutil.Process) -> bool:
    return "ptdq.measure.worker" in process.cmdline()


def is_run(process: psutil.Process) -> bool:
    return not any(word.startswith("ptdq.") for word in process.cmdline())


def stopped(whom: Callable[[psutil.Process], bool]) -> Callable[[Target, UUID], None]:
    """For some seconds."""

    def inject(nights: Target, run_id: UUID) -> None:
        to(signal.SIGSTOP, whom)(nights, run_id)
        time.sleep(3)
        to(signal.SIGCONT, whom)(nights, run_id)

    return inject


def server_comes_back(nights: Target, _: UUID) -> None:
    nights.restart_server()


TO_RUN = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGSEGV)
TO_WORKER = (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV)
FAULTS: dict[str, Callable[[Target, UUID], None]] = {
    **{f"{number.name} to the run": to(number, is_run) for number in TO_RUN},
    **{f"{number.name} to a worker": to(number, is_worker) for number in TO_WORKER},
    "SIGKILL to every process at once": to(signal.SIGKILL, lambda process: True),
    "SIGSTOP to the run for a while": stopped(is_run),
    "SIGSTOP to a worker for a while": stopped(is_worker),
    "SIGKILL to the server": server_comes_back,
}
"""As the tests of the faults have them, to the processes of a deployment."""


@contextlib.contextmanager
def worse_model(nights: Target) -> Iterator[None]:
    """The model is another one for a night."""
    good = nights.scratch / "good"
    nights.model.rename(good)
    shutil.copytree(nights.scratch / "worse", nights.model)
    try:
        yield
    finally:
        shutil.rmtree(nights.model)
        good.rename(nights.model)


@contextlib.contextmanager
def slower_machine(nights: Target) -> Iterator[None]:
    """Two other programs use each core."""
    burn = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(burn) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


@contextlib.contextmanager
def full_disk(nights: Target) -> Iterator[None]:
    """Hardly anything fits on the disk of the results any more."""
    ballast = fill(nights.results)
    os.truncate(ballast, max(0, ballast.stat().st_size - 1_000_000))
    try:
        yield
    finally:
        ballast.unlink()


AROUND = {WORSE: worse_model, SLOWER: slower_machine, FULL: full_disk}


def make_inputs(scratch: Path) -> None:
    """A model, documents for it, others to calibrate on, and a worse model."""
    growth.make_model(scratch / "model")
    growth.make_data(scratch / "calibration.parquet", CALIBRATION)
    _make_data(scratch / "model", scratch / "data.csv")
    _make_worse(scratch / "model", scratch / "worse")


def _make_data(model: Path, path: Path) -> None:
    """Documents with what the model says of each as label, every fifth one wrong."""
    import numpy as np
    import pandas as pd
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    growth.make_data(path.with_suffix(".parquet"), DOCUMENTS)
    texts = pd.read_parquet(path.with_suffix(".parquet"))["text"].tolist()
    tokenizer = AutoTokenizer.from_pretrained(model)
    predict = AutoModelForSequenceClassification.from_pretrained(model).eval()
    batch = tokenizer(texts, padding=True, truncation=True, max_length=16, return_tensors="pt")
    with torch.inference_mode():
        labels = predict(**batch).logits.argmax(dim=1).numpy()
    labels = (labels + (np.arange(len(labels)) % 5 == 0)) % len(growth.CLASSES)
    frame = pd.DataFrame({"text": texts, "label": [growth.CLASSES[label] for label in labels]})
    frame.to_csv(path, index=False)


def _make_worse(model: Path, target: Path) -> None:
    """The same model with its classes in another order, so that most answers are wrong."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(model, target)
    weights = load_file(target / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        weights[name] = weights[name].roll(1, dims=0).contiguous()
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
