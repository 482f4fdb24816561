"""The interface of a variant: one way to make a float model ready to serve on a CPU.

A variant has two halves that run in two different processes:

* :meth:`Variant.prepare` turns a :class:`~ptdq.inputs.source.Source` into an artifact, a directory that
  holds data only (no pickled code);
* :meth:`Variant.load` turns such a directory into a :data:`Predictor` and needs nothing else: the
  float model is not read again.

What is common to all variants (the cache, the proof that the artifact survives a reload, sizes,
hashes, the record of versions) is in :mod:`ptdq.variants.artifact`, so that a new variant is one
new file and one line in :mod:`ptdq.variant_names`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ptdq.inputs.arrays import Calibration, Inputs, Predictor

if TYPE_CHECKING:
    import torch

    from ptdq.inputs.source import Source

BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")
"""Flags of CPUs that multiply bfloat16: of x86, and of ARM."""
UNKNOWN_POSITIONS = 512
"""What compiled variants take for the longest input where neither model nor tokenizer has a bound."""


@dataclass(frozen=True)
class Settings:
    """What the user can choose about the preparation; part of the artifact's cache key.

    Attributes:
        engine: quantized engine of torch (``x86``, ``fbgemm``, ``onednn``, ``qnnpack``).
        modules: what the dynamic variants convert, by module type (``Linear``) or qualified name.
        keep_float: qualified names, or prefixes of them, that stay in float32.
        keep_float_mixed: what ``int8-dynamic-mixed`` keeps besides; other variants ignore it.
        granularity: one scale for a weight tensor, or one for each output channel.
        threads: threads that the artifact will be run with (compiled variants fix it).
        loader: ``package.module:function`` that builds the module, for models that transformers does
            not know; from the run's parameters, never from a file.
        trust_remote_code: whether code that comes with the checkpoint may run; likewise.
        tune_minutes: minutes for which a variant that tunes may try; 0: what it takes without trying.
            Others ignore it.
    """

    engine: str
    modules: tuple[str, ...] = ("Linear",)
    keep_float: tuple[str, ...] = ()
    granularity: Literal["per-tensor", "per-channel"] = "per-tensor"
    threads: int = 1
    keep_float_mixed: tuple[str, ...] = ()
    loader: str | None = None
    trust_remote_code: bool = False
    # Not what an artifact is: one that was searched for longer is not another.
    tune_minutes: float = field(default=0.0, compare=False)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Settings:
        """Settings from their JSON form, in which tuples are lists."""
        plain: dict[str, Any] = dict(values)
        for name in ("modules", "keep_float", "keep_float_mixed"):
            plain[name] = tuple(plain.get(name, ()))
        return cls(**plain)


@dataclass(frozen=True)
class Prepared:
    """What a preparation did.

    Attributes:
        predict: the model still in memory, against which the reloaded artifact is compared.
        converted: qualified names of the modules that were quantized (or compiled).
        kept_float: qualified names of leaf modules with parameters that stayed float32.
        module: the torch module in memory, if there is one: its ``torch.save(state_dict())`` is the
            reference experiment's measure of size.
        details: anything else worth keeping, JSON-serializable.
    """

    predict: Predictor
    converted: list[str]
    kept_float: list[str]
    module: torch.nn.Module | None = None
    details: dict[str, Any] = field(default_factory=dict)


def is_kept(name: str, keep_float: Iterable[str]) -> bool:
    """Whether a module stays float: it, or one that it is part of, is named in ``keep_float``."""
    return any(name == keep or name.startswith(f"{keep}.") for keep in keep_float)


class Variant(ABC):
    """One way to serve the model. Stateless: an instance holds no model."""

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line for ``ptdq variants``."""
    requires: ClassVar[tuple[str, ...]] = ()
    """Distributions that must be installed, as ``pip`` names them."""
    extra: ClassVar[str | None] = None
    """The extra of this package that installs them."""
    calibrates: ClassVar[bool] = False
    """Whether :meth:`prepare` needs a :class:`Calibration`."""
    quantizes: ClassVar[bool] = True
    """Whether converting no module at all is an error."""
    repeats: ClassVar[bool] = True
    """Whether an artifact gives the same logits, but for rounding, each time it is loaded. Not where
    loading compiles, and chooses the order of sums."""
    refuses: ClassVar[Mapping[str, str]] = {}
    """Families (:meth:`ptdq.inputs.source.Source.family`) that it cannot take, to the reason."""
    max_batch: ClassVar[int | None] = None
    """Most documents in a batch; None where there is no bound."""
    max_tokens: ClassVar[int | None] = None
    """Longest input where neither model nor tokenizer has a bound; None: as long as one likes."""
    uses_torch: ClassVar[bool] = True
    """Whether :meth:`load` runs on torch: the workers of others do not import it."""
    takes_mixed: ClassVar[bool] = False
    """Whether ``Settings.keep_float_mixed`` means anything to it."""
    heeds_cap: ClassVar[bool] = True
    """Whether its runtime can be kept to older instructions (:func:`ptdq.host.machine.capped`)."""
    tunes: ClassVar[bool] = False
    """Whether :meth:`prepare` measures, as long as ``Settings.tune_minutes`` says: then nothing else is
    prepared meanwhile, and the artifact is of this model of CPU alone."""
    instructions: ClassVar[tuple[str, ...]] = ()
    """Flags of the CPU, one of which it needs to be worth a measurement: without them its arithmetic is
    emulated, and ``all`` leaves it out. Empty: nothing is emulated anywhere."""
    python: ClassVar[str | None] = None
    """Interpreter of the environment that it is prepared and measured in, which must have this package as
    well; None: this one. For what needs other versions of packages than the rest of the run."""
    version: ClassVar[int] = 1
    """Raised when the artifact of the same settings would differ; part of the cache key."""
    exported: ClassVar[Mapping[str, Path]] = {}
    """Files that ``ptdq export`` puts beside the artifact, by their names there. One is ``runtime.py``,
    whose ``open_model(artifact, threads)`` does what :meth:`load` does, without this package. Empty:
    there is no export. See :mod:`ptdq.runtimes`."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # A loader repeats `load`: with that of its parent, a class would export something else.
        super().__init_subclass__(**kwargs)
        if "load" in vars(cls):
            cls.exported = vars(cls).get("exported", {})
            cls.uses_torch = vars(cls).get("uses_torch", True)

    def of(self, directory: Path) -> Variant:
        """The variant whose loader an artifact takes: this one, unless it chose among others."""
        return self

    @abstractmethod
    def prepare(
        self,
        source: Source,
        directory: Path,
        settings: Settings,
        calibration: Calibration | None,
    ) -> Prepared:
        """Write the artifact's files into ``directory`` (exists, empty).

        Raises:
            ptdq.errors.UserError: the model cannot be converted; says why and what to do.
        """

    @abstractmethod
    def load(self, directory: Path, settings: Settings) -> Predictor:
        """The artifact as a callable, for ``settings.threads`` threads.

        Runs in the worker, which has pinned itself and set torch's threads and engine before. Must
        not import what it does not need: the worker's start is part of every cell. What it returns may
        have a method ``warm(batch, longest)``, which is called once before any document, as part of
        loading, to make kernels for every length up to ``longest`` tokens.
        """


__all__ = [
    "UNKNOWN_POSITIONS",
    "Calibration",
    "Inputs",
    "Predictor",
    "Prepared",
    "Settings",
    "Variant",
    "is_kept",
]
