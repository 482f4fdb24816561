"""A package of torch's AOTInductor: machine code for the CPU that it was compiled on, and constants.

Load it only where you trust who made it. The number of threads was fixed when it was compiled.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray


def open_model(
    artifact: Path, threads: int
) -> Callable[[Mapping[str, NDArray[np.int64]]], NDArray[np.float32]]:
    """A function from a tokenizer's outputs to logits, for one caller at a time."""
    torch.set_num_threads(threads)
    names = json.loads((artifact / "inputs.json").read_text(encoding="utf-8"))["inputs"]
    # What torch._inductor.aoti_load_package calls, by which one would import the compiler too: seconds.
    loader: Any = torch._C._aoti.AOTIModelPackageLoader
    run_single_threaded, runners, device_index = True, 1, -1
    model = loader(str(artifact / "model.pt2"), "model", run_single_threaded, runners, device_index)

    def predict(inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        with torch.inference_mode():
            (logits,) = model.boxed_run([torch.from_numpy(inputs[name]) for name in names])
            return cast(NDArray[np.float32], logits.numpy())

    return predict
