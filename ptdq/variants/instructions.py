"""The instruction set that a prepared variant's products use, read while it is called once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from ptdq.inputs.arrays import Inputs, Predictor
from ptdq.profile.instructions import in_words
from ptdq.profile.watch import profile
from ptdq.variants.base import Prepared, Settings, Variant


def instructions(
    variant: Variant, prepared: Prepared, directory: Path, settings: Settings, examples: Sequence[Inputs]
) -> str | None:
    """What the runtime says of one document, the longest; None without a product, or a profile.

    In the process that prepares: no cell pays for it. The variant has been loaded there before.

    Args:
        variant: what was prepared.
        prepared: what came of it.
        directory: its artifact.
        settings: of the preparation.
        examples: inputs, at least one.
    """
    alone = [inputs for inputs in examples if len(inputs["input_ids"]) == 1] or list(examples)
    variant = variant.of(directory)
    longest = max(alone, key=lambda inputs: inputs["input_ids"].shape[1])

    def call(predict: Predictor) -> object:
        return predict(longest)

    def said(load: Callable[[], Predictor]) -> str | None:
        return in_words(profile(load, call, call).operations)

    try:
        # torch can be watched as it is; the others are to be told when they load.
        known = said(lambda: prepared.predict) if variant.uses_torch else None
        return known or said(lambda: variant.load(directory, settings))
    except Exception as error:
        # A profiler that fails is no reason to be without the artifact.
        logging.getLogger(__name__).warning("%s cannot be profiled: %s", variant.name, error)
        return None
