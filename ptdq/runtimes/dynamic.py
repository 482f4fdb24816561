"""Dynamically quantized modules of torch, packed for the engine that was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from eager import predictor, skeleton  # type: ignore[import-not-found]
from rebuild import assign_tensors, set_quantized  # type: ignore[import-not-found]
from safetensors.torch import load_file


def open_model(artifact: Path, threads: int) -> Any:
    """A function from a tokenizer's outputs to logits."""
    settings = json.loads((artifact / "artifact.json").read_text(encoding="utf-8"))["settings"]
    torch.backends.quantized.engine = settings["engine"]
    modules = json.loads((artifact / "quantized.json").read_text(encoding="utf-8"))["modules"]
    module, tensors = skeleton(artifact), load_file(artifact / "model.safetensors")
    set_quantized(module, modules, tensors)
    assign_tensors(module, tensors)
    return predictor(module, threads)
