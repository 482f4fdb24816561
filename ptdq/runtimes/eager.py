"""The model's torch module without weights, and a module as a function of token ids."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from rebuild import meta_parameters, plain_linear  # type: ignore[import-not-found]
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification


def skeleton(artifact: Path) -> nn.Module:
    """The module in evaluation mode, its parameters without memory."""
    source: dict[str, Any] = json.loads((artifact / "source.json").read_text(encoding="utf-8"))
    with meta_parameters():
        if source["loader"]:
            # A module of one's own: the function that was given as --model-loader must be importable.
            module, _, function = source["loader"].partition(":")
            made = getattr(importlib.import_module(module), function)(str(artifact))
        else:
            trust = source["trust_remote_code"]
            config = AutoConfig.from_pretrained(artifact, local_files_only=True, trust_remote_code=trust)
            made = plain_linear(
                AutoModelForSequenceClassification.from_config(
                    config, dtype=torch.float32, trust_remote_code=trust
                )
            )
        return cast(nn.Module, made.eval())


def predictor(
    module: nn.Module, threads: int
) -> Callable[[Mapping[str, NDArray[np.int64]]], NDArray[np.float32]]:
    """A function from a tokenizer's outputs to logits."""
    torch.set_num_threads(threads)
    parameters = inspect.signature(module.forward).parameters
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())

    def predict(inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        with torch.inference_mode():
            # A module of one's own may not take all that the tokenizer gives.
            output = module(
                **{n: torch.from_numpy(ids) for n, ids in inputs.items() if anything or n in parameters}
            )
            logits = output if isinstance(output, torch.Tensor) else output.logits
            return cast(NDArray[np.float32], logits.float().numpy())

    return predict
