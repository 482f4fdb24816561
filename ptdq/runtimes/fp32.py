"""The float32 model, eager."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eager import predictor, skeleton  # type: ignore[import-not-found]
from rebuild import assign_tensors  # type: ignore[import-not-found]
from safetensors.torch import load_file


def open_model(artifact: Path, threads: int) -> Any:
    """A function from a tokenizer's outputs to logits."""
    module = skeleton(artifact)
    assign_tensors(module, load_file(artifact / "model.safetensors"))
    return predictor(module, threads)
