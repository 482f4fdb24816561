"""What an artifact has to show before it is measured: that it is the model it was made of.

It is loaded again, as a worker would, and compared with the float model on documents: number and shape
of the results, finite values, and an error that its number format explains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ptdq.errors import UserError, line_of
from ptdq.inputs.arrays import Inputs, Predictor
from ptdq.inputs.source import Source, leaf_modules, torch_predictor
from ptdq.variants.base import Settings, Variant
from ptdq.variants.exported import TOLERANCE

WEIGHT_BITS = 8
ACTIVATION_BITS = 7
"""What every int8 engine here has at least: without VNNI they leave out one bit of activations."""
ROUNDING = 1e-6
"""Of logits, relative to the largest: eight times what float32 rounds by. No runtime promises the same
bits from weights at another address, where a product may add up in another order: without AVX-512 a GRU
in float32 does so."""
MARGIN = 4.0
"""Engines round in more places than :func:`rounded` does (attention's products, norms, residuals), and
each at a time. Errors of n places as large as each other add up to √n of one's: four times allows for
sixteen times as many. A graph that computes something else is off by all that the logits vary."""


def prove(
    variant: Variant,
    source: Source,
    directory: Path,
    settings: Settings,
    in_memory: Predictor,
    examples: Sequence[Inputs],
) -> None:
    """Load an artifact and compare it with the model in memory and with the float model.

    Raises:
        UserError: it cannot be loaded or called, gives results of another number or shape or none that
            are finite, differs from the model in memory by more than rounding where the variant repeats
            itself, or is further from the float model than its number format explains.
    """
    reloaded = variant.load(directory, settings)
    module = source.module()
    with seen_ranges(module) as ranges:
        expected = [
            _called(f"model {type(module).__name__}", torch_predictor(module), one) for one in examples
        ]
    errors = []
    for inputs, wanted in zip(examples, expected, strict=True):
        logits = _called(f"variant {variant.name}", reloaded, inputs)
        if logits.shape != wanted.shape:
            raise UserError(
                f"variant {variant.name}: for {_size(inputs)} it gives results of shape "
                f"{list(logits.shape)} and not {list(wanted.shape)}; it is not used"
            )
        if not np.isfinite(logits).all():
            raise UserError(
                f"variant {variant.name}: for {_size(inputs)} it gives values that are not finite; "
                "it is not used"
            )
        remembered = in_memory(inputs) if variant.repeats else logits
        difference = float(np.abs(remembered - logits).max())
        if not difference <= ROUNDING * float(np.abs(wanted).max()):
            raise UserError(
                f"variant {variant.name}: the reloaded artifact differs from the model in memory by up "
                f"to {difference:.3g} for {_size(inputs)}; it is not used"
            )
        errors.append(logits)
    inexact = expected
    if variant.quantizes:
        with rounded(module, ranges):
            inexact = [torch_predictor(module)(inputs) for inputs in examples]
    # Apart: what is wrong in batches alone must not drown in what is right.
    for batched in (False, True):
        places = [n for n, logits in enumerate(expected) if (len(logits) > 1) == batched]
        if places:
            one, other, third = ([of[n] for n in places] for of in (errors, expected, inexact))
            _check_error(variant, one, other, third)


def _check_error(
    variant: Variant,
    actual: Sequence[NDArray[np.float32]],
    expected: Sequence[NDArray[np.float32]],
    inexact: Sequence[NDArray[np.float32]],
) -> None:
    error, explained = _error(actual, expected), _error(inexact, expected)
    largest = max(float(np.abs(logits).max()) for logits in expected)
    if not error <= MARGIN * explained + TOLERANCE * largest:
        why = (
            f"of which int8 explains {explained:.2g}" if variant.quantizes else "more than float32 rounds"
        )
        raise UserError(
            f"variant {variant.name}: its logits are {error:.2g} off those of the float model (root mean "
            f"square; the largest is {largest:.2g}), {why}: it computes something else, and is not used"
        )


def _called(who: str, predict: Predictor, inputs: Inputs) -> NDArray[np.float32]:
    try:
        return predict(inputs)
    except Exception as error:
        raise UserError(
            f"{who}: it fails for {_size(inputs)} ({line_of(error)}); it is not used"
        ) from error


def _size(inputs: Inputs) -> str:
    batch, tokens = inputs["input_ids"].shape
    return f"{batch} document{'s' if batch > 1 else ''} of {tokens} tokens"


def _error(actual: Sequence[NDArray[np.float32]], expected: Sequence[NDArray[np.float32]]) -> float:
    """Root mean square of the differences."""
    differences = np.concatenate([(a - b).ravel() for a, b in zip(actual, expected, strict=True)])
    return float(np.sqrt(np.mean(np.square(differences, dtype=np.float64))))


@contextmanager
def seen_ranges(module: nn.Module) -> Iterator[dict[str, float]]:
    """Largest magnitude that each layer with a matrix was given while the block ran, by name."""
    ranges: dict[str, float] = {}

    def look(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(_: nn.Module, given: tuple[Any, ...]) -> None:
            if given and torch.is_floating_point(given[0]):
                ranges[name] = max(ranges.get(name, 0.0), float(given[0].abs().max()))

        return hook

    hooks = [child.register_forward_pre_hook(look(name)) for name, child in leaf_modules(module)]
    try:
        yield ranges
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def rounded(module: nn.Module, ranges: dict[str, float]) -> Iterator[None]:
    """In the block, the model as plain int8 has it; afterwards its weights stay rounded.

    One scale for each weight matrix, and one for the input of each layer with such a matrix, static:
    the coarsest that an int8 engine does. It stands for what the number format costs this model.
    """
    hooks = []
    for name, child in leaf_modules(module):
        matrices = [tensor for tensor in child.parameters(recurse=False) if tensor.ndim > 1]
        for tensor in matrices:
            tensor.data = _round(tensor.data, float(tensor.abs().max()), WEIGHT_BITS)
        if matrices and name in ranges:
            hooks.append(child.register_forward_pre_hook(_rounds_input(ranges[name])))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _rounds_input(largest: float) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...]]:
    def hook(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return (_round(given[0], largest, ACTIVATION_BITS), *given[1:])

    return hook


def _round(tensor: torch.Tensor, largest: float, bits: int) -> torch.Tensor:
    steps = 2 ** (bits - 1) - 1
    step = largest / steps or 1.0
    return (tensor / step).round().clamp(-steps, steps) * step
