"""Quantized engines of torch: which there are on this machine, and which one to take."""

from __future__ import annotations

import torch

from ptdq.errors import UserError

# Best first. x86 picks fbgemm or onednn by the CPU's instructions; qnnpack is for ARM and is
# several times slower than float32 on x86.
_PREFERENCE = ("x86", "fbgemm", "onednn", "qnnpack")


def choose_engine(wanted: str | None) -> str:
    """The engine asked for, or the best supported one.

    Raises:
        UserError: it is not supported here (lists those that are), or none is.
    """
    supported = [engine for engine in torch.backends.quantized.supported_engines if engine != "none"]
    if wanted is not None:
        if wanted not in supported:
            raise UserError(f"engine '{wanted}' is not supported here; there are {', '.join(supported)}")
        return wanted
    for engine in _PREFERENCE:
        if engine in supported:
            return engine
    raise UserError("this build of torch has no quantized engine; int8 variants cannot run on it")
