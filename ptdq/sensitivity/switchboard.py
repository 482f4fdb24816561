"""A model in which any modules can be quantized and made float again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ptdq.errors import UserError
from ptdq.inputs.source import torch_predictor
from ptdq.sensitivity.request import By
from ptdq.variants.base import Inputs, Settings
from ptdq.variants.dynamic import Int8Dynamic, select_modules


@dataclass
class Calls:
    """How a module is called in one forward pass: arguments of the first call, number of calls."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    count: int = 1


class Switchboard:
    """The modules that ``int8-dynamic`` converts, each in float and in int8, in one model.

    Dynamic quantization takes scales from a module's own weights and its own input, so a module is
    the same whatever else is quantized: with everything but some names quantized, this is
    ``int8-dynamic`` with these names kept in float.
    """

    def __init__(self, model: nn.Module, settings: Settings) -> None:
        variant = Int8Dynamic()
        self.floats = select_modules(model, variant.kinds(settings), settings.keep_float)
        if not self.floats:
            raise UserError(
                f"modules: nothing to quantize; `modules` is {list(settings.modules)} and `keep_float` "
                f"{list(settings.keep_float)}, and this model has none of those"
            )
        quantized = variant.quantize(model, settings)
        self.int8 = {name: quantized.get_submodule(name) for name in self.floats}
        self.model = model
        self.predict = torch_predictor(model)

    def quantize(self, names: Collection[str]) -> None:
        """From now on exactly these modules are quantized."""
        for name in self.floats:
            module = (self.int8 if name in names else self.floats)[name]
            self.model.set_submodule(name, module, strict=True)

    def calls(self, inputs: Inputs) -> dict[str, Calls]:
        """How each module is called in a forward pass; one that is not called is left out."""
        calls: dict[str, Calls] = {}

        def note(name: str) -> Any:
            def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
                if name in calls:
                    calls[name].count += 1
                else:
                    calls[name] = Calls(args, kwargs)

            return hook

        self.quantize(())
        hooks = [
            module.register_forward_pre_hook(note(name), with_kwargs=True)
            for name, module in self.floats.items()
        ]
        try:
            self.predict(inputs)
        finally:
            for handle in hooks:
                handle.remove()
        return calls

    def run(self, calls: dict[str, Calls], quantized: bool) -> None:
        """Call the modules alone, as often as a forward pass does."""
        with torch.inference_mode():
            for name, call in calls.items():
                module = (self.int8 if quantized else self.floats)[name]
                for _ in range(call.count):
                    module(*call.args, **call.kwargs)


def groups(names: Sequence[str], by: By) -> dict[str, list[str]]:
    """Modules that are looked at together, by a name that ``keep_float`` understands.

    Args:
        names: qualified names.
        by: ``module``: each by itself; ``block``: those of one numbered layer together.
    """
    members: dict[str, list[str]] = {}
    for name in names:
        key = _block(name) if by == "block" else name
        members.setdefault(key, []).append(name)
    return members


def _block(name: str) -> str:
    """The name up to its first number: of ``encoder.layer.3.output.dense``, ``encoder.layer.3``."""
    parts = name.split(".")
    number = next((place for place, part in enumerate(parts) if part.isdigit()), len(parts))
    return ".".join(parts[: number + 1])
