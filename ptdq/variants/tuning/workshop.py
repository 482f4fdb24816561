"""Makes candidates: converts the model once, quantizes once for each graph, and compares the answers."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptdq.errors import UserError
from ptdq.host.machine import usable_cores
from ptdq.variants import registry
from ptdq.variants.base import Calibration, Prepared, Settings, is_kept
from ptdq.variants.steps import step
from ptdq.variants.tuning.samples import Samples, outputs
from ptdq.variants.tuning.space import Candidate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from ptdq.inputs.source import Source

NAME = "int8-best"


@dataclass(frozen=True)
class Built:
    """A candidate that was made.

    Attributes:
        candidate: which.
        directory: its files.
        changed: share of the calibration documents' answers that are others than the float model's.
        seconds: that making it took.
        converted: qualified names of the modules in int8.
        kept_float: those of the others.
        details: what else the preparation says.
    """

    candidate: Candidate
    directory: str
    changed: float
    seconds: float
    converted: list[str]
    kept_float: list[str]
    details: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Built:
        """From a file."""
        return cls(**values | {"candidate": candidate_of(values["candidate"])})


def candidate_of(values: dict[str, Any]) -> Candidate:
    """A candidate from its JSON form, in which tuples are lists."""
    return Candidate(**values | {"shapes": tuple(values["shapes"])})


def answered(
    candidate: Candidate, directory: Path, settings: Settings, samples: Samples
) -> NDArray[np.float32]:
    """What a candidate says of the calibration documents [documents, outputs]."""
    step(f"comparing answers: {candidate.words}")
    # As many threads as there are: which answers it gives does not depend on them.
    many = replace(settings, threads=len(usable_cores()))
    return outputs(registry.get(candidate.variant).load(directory, many), samples.inputs)


class Workshop:
    """Makes candidates of one model.

    Args:
        source: the float model.
        settings: of the preparation.
        calibration: what ranges are taken from.
        samples: the same documents, with the float model's outputs.
    """

    def __init__(
        self,
        source: Source,
        settings: Settings,
        calibration: Calibration,
        samples: Samples,
    ) -> None:
        self._source, self._settings, self._calibration = source, settings, calibration
        self._samples = samples
        self._converted: dict[bool, tuple[Any, nn.Module, dict[str, str]]] = {}
        self._quantized: tuple[Candidate, Any] | None = None

    def build(self, candidate: Candidate, directory: Path) -> Built:
        """Make a candidate in an empty directory.

        Raises:
            UserError: this model cannot be had this way.
        """
        started = time.perf_counter()
        directory.mkdir(parents=True)
        try:
            if candidate.engine == "OpenVINO":
                prepared = self._openvino(candidate, directory)
            else:
                prepared = registry.get(candidate.variant).prepare(
                    self._source, directory, self._settings, self._calibration
                )
            if not prepared.converted:
                raise UserError(f"variant {candidate.variant}: no module was converted")
            actual = answered(candidate, directory, self._settings, self._samples)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        return Built(
            candidate=candidate,
            directory=str(directory),
            changed=self._calibration.answers.changed(self._samples.expected, actual),
            seconds=time.perf_counter() - started,
            converted=prepared.converted,
            kept_float=prepared.kept_float,
            details=prepared.details,
        )

    def _openvino(self, candidate: Candidate, directory: Path) -> Prepared:
        from ptdq.variants.openvino_runtime import finish

        module, moved, graph = self._graph(candidate)
        details = {"rewritten": bool(moved)}
        prepared = finish(
            graph, self._source, module, directory, self._settings, candidate.precision, details
        )
        return replace(
            prepared,
            converted=[moved.get(name, name) for name in prepared.converted],
            kept_float=[moved.get(name, name) for name in prepared.kept_float],
        )

    def _graph(self, candidate: Candidate) -> tuple[nn.Module, dict[str, str], Any]:
        """The module, names of what was moved in it, and its quantized graph."""
        from ptdq.variants.openvino_runtime import quantize

        float_graph, module, moved = self._float_graph(candidate.first_token)
        if self._quantized is None or self._quantized[0] != candidate.graph:
            self._quantized = None  # before the next one: each has all weights
            keep = self._settings.keep_float
            if candidate.mixed:
                keep = tuple(dict.fromkeys([*keep, *self._settings.keep_float_mixed]))
            kept = replace(
                self._settings, keep_float=renamed(keep, {old: new for new, old in moved.items()})
            )
            options = nncf_options(candidate)
            made = quantize(float_graph.clone(), NAME, kept, self._calibration, **options)
            self._quantized = (candidate.graph, made)
        return module, moved, self._quantized[1]

    def _float_graph(self, first_token: bool) -> tuple[Any, nn.Module, dict[str, str]]:
        from ptdq.variants.openvino_runtime import convert
        from ptdq.variants.rewriting import rewrite_exactly

        if first_token not in self._converted:
            self._converted.clear()
            module = self._source.module()
            moved = rewrite_exactly(self._source, module) if first_token else {}
            self._converted[first_token] = (convert(self._source, module), module, moved)
        return self._converted[first_token]


def nncf_options(candidate: Candidate) -> dict[str, Any]:
    """What a candidate is for :func:`ptdq.variants.openvino_runtime.quantize`."""
    import nncf

    off = nncf.AdvancedSmoothQuantParameters(convolution=-1, matmul=-1)
    options: dict[str, Any] = {} if candidate.smoothing else {"smooth_quant_alphas": off}
    if candidate.preset == "performance":
        options["preset"] = nncf.QuantizationPreset.PERFORMANCE
    if not candidate.attention:
        options["float_types"] = ["ScaledDotProductAttention"]
    return options


def renamed(names: tuple[str, ...], now: dict[str, str]) -> tuple[str, ...]:
    """What modules (or prefixes of names) of the original model are called after the rewrite."""
    new_names: dict[str, None] = {}
    for name in names:
        inside = [new for old, new in now.items() if is_kept(old, [name])]
        new_names.update(dict.fromkeys(inside or [name]))
    return tuple(new_names)
