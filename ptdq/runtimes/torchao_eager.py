"""Linear layers quantized by torchao, eager."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eager import predictor, skeleton  # type: ignore[import-not-found]
from rebuild import assign_tensors  # type: ignore[import-not-found]
from safetensors.torch import load_file
from torchao_rebuild import set_quantized_weights  # type: ignore[import-not-found]


def open_model(artifact: Path, threads: int) -> Any:
    """A function from a tokenizer's outputs to logits."""
    module, tensors = skeleton(artifact), load_file(artifact / "model.safetensors")
    set_quantized_weights(module, tensors)
    assign_tensors(module, tensors)
    return predictor(module, threads)
