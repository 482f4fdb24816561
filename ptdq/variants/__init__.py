"""The variants: one small interface, one file each, found by name. All that a plug-in needs is here.

A variant of your own is a subclass of :class:`Variant`; :func:`get` gives a built-in one to build on::

    from ptdq.variants import Calibration, Predictor, Prepared, Settings, Source, Variant, get

Importing this package imports neither torch nor a variant: what needs torch (:class:`Source` and the
functions on modules) is imported when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ptdq.variants.base import Calibration, Inputs, Predictor, Prepared, Settings, Variant, is_kept
from ptdq.variants.registry import get

if TYPE_CHECKING:
    from ptdq.inputs.source import Source, assign_tensors, leaf_modules, torch_predictor, write_weights

_OF_TORCH = ("Source", "assign_tensors", "leaf_modules", "torch_predictor", "write_weights")

__all__ = [
    "Calibration",
    "Inputs",
    "Predictor",
    "Prepared",
    "Settings",
    "Source",
    "Variant",
    "assign_tensors",
    "get",
    "is_kept",
    "leaf_modules",
    "torch_predictor",
    "write_weights",
]


def __getattr__(name: str) -> Any:
    if name in _OF_TORCH:
        return getattr(importlib.import_module("ptdq.inputs.source"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
