"""Compiled ahead of time by torch's Inductor: the worker only loads.

``torch.export`` with dynamic batch and length, then AOTInductor with freezing (weights become
constants and are packed for the kernels), as documented in
https://docs.pytorch.org/docs/stable/torch.compiler_aot_inductor.html and, for CPUs, in
https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html

The artifact is a ``.pt2`` package: a shared library, compiled here for this CPU, and its constants.
**It is machine code: load only what was made on a machine that you trust.** It holds no pickled
Python, and it needs torch alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch

from ptdq import runtimes as loaders
from ptdq.errors import UserError
from ptdq.store.disk import write_json
from ptdq.variants.base import (
    BFLOAT16,
    UNKNOWN_POSITIONS,
    Calibration,
    Predictor,
    Prepared,
    Settings,
    Variant,
)
from ptdq.variants.families import NOT_IN_INDUCTOR
from ptdq.variants.steps import step

if TYPE_CHECKING:
    from torch import nn

    from ptdq.inputs.source import Source

PACKAGE = "model.pt2"
SIGNATURE = "inputs.json"
MAX_BATCH = 64


class Fp32Compiled(Variant):
    """The float model, compiled."""

    name = "fp32-compiled"
    version = 2
    summary = "AOTInductor with freezing, float32"
    quantizes = False
    refuses = NOT_IN_INDUCTOR
    max_batch = MAX_BATCH
    max_tokens = UNKNOWN_POSITIONS
    exported = loaders.alone("aot.py")
    dtype: ClassVar[torch.dtype] = torch.float32
    pads: ClassVar[bool] = True
    """Whether inputs are padded to multiples of 16 tokens, so that oneDNN meets few shapes."""

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        from ptdq.inputs.source import leaf_modules
        from ptdq.variants.exported import Positional, input_names

        exact = source.module()
        module = source.module().to(self.dtype) if self.quantizes else exact
        names = input_names(source, module)
        compile_package(export(source, module, names), directory / PACKAGE, settings)
        padded = self.write_signature(source, exact, names, directory)
        # What was compiled is the package: there is no other copy in memory to compare with bit for bit.
        predict = self.load(directory, settings)
        check_compiled(
            self.name, source, predict, Positional(module, names), Positional(exact, names), names
        )
        modules = [name for name, _ in leaf_modules(module)]
        return Prepared(
            predict=predict,
            converted=modules if self.quantizes else [],
            kept_float=[] if self.quantizes else modules,
            details={"padded": padded},
        )

    def load(self, directory: Path, settings: Settings) -> Predictor:
        from ptdq.runtimes.aot import open_model
        from ptdq.runtimes.padding import with_padding

        return with_padding(open_model(directory, settings.threads), directory)

    def write_signature(
        self, source: Source, module: nn.Module, names: Sequence[str], directory: Path
    ) -> bool:
        """Write what the package takes beside it; whether inputs are padded."""
        from ptdq.variants.padding import write_padding

        write_json(directory / SIGNATURE, {"inputs": names})
        return self.pads and write_padding(source, module, names, directory)


class Bfloat16Compiled(Fp32Compiled):
    """The model in bfloat16, compiled; the logits are given back as float32."""

    name = "bfloat16-compiled"
    summary = "AOTInductor with freezing, bfloat16"
    quantizes = True
    instructions = BFLOAT16
    dtype = torch.bfloat16


def export(source: Source, module: nn.Module, names: Sequence[str]) -> Any:
    """The model as an exported program with dynamic batch and length.

    Raises:
        UserError: torch.export cannot take this model.
    """
    from ptdq.variants.exported import Positional, example_inputs

    step("exporting the model")
    try:
        with torch.no_grad():
            return torch.export.export(
                Positional(module, names),
                example_inputs(source, names),
                dynamic_shapes=dynamic_shapes(source, module, names),
            )
    except Exception as error:
        raise UserError(f"torch.export cannot take this model: {str(error).splitlines()[0]}") from error


def dynamic_shapes(source: Source, module: nn.Module, names: Sequence[str]) -> Any:
    """Batch and length vary, and are the same for all inputs."""
    from torch.export import Dim

    from ptdq.variants.exported import position_limit

    longest = position_limit(source)
    shape = {0: Dim("batch", min=1, max=MAX_BATCH), 1: Dim("tokens", min=2, max=longest)}
    return (tuple(shape for _ in names),)


def compile_package(program: Any, path: Path, settings: Settings, **options: Any) -> None:
    """Compile an exported program into a package; ``options`` are Inductor's."""
    step("compiling")
    with inductor_settings(settings, **options), torch.no_grad():
        torch._inductor.aoti_compile_and_package(program, package_path=str(path))


def check_compiled(
    variant: str,
    source: Source,
    predict: Predictor,
    compiled: Callable[..., torch.Tensor],
    exact: Callable[..., torch.Tensor],
    names: Sequence[str],
) -> None:
    """Compare a package with what it was compiled from: compilers have bugs.

    Rounding may fall otherwise in another order of sums. Were it independent, then the two would differ
    by √2 of what each differs from the float model.

    Args:
        variant: name of the variant.
        source: the float model on disk.
        predict: the package.
        compiled: what was compiled, in torch.
        exact: the float model.
        names: of the inputs, in their order.

    Raises:
        UserError: they differ by more than twice what quantizing changed, plus what order changes.
    """
    from ptdq.variants.exported import TOLERANCE, example_inputs

    inputs = example_inputs(source, names, batch=8)
    with torch.inference_mode():
        wanted, unrounded = compiled(*inputs), exact(*inputs)
    actual = predict({name: ids.numpy() for name, ids in zip(names, inputs, strict=True)})
    difference, rounding = (
        float((logits - wanted).square().mean().sqrt())
        for logits in (torch.from_numpy(actual), unrounded)
    )
    if not difference <= 2 * rounding + TOLERANCE * float(wanted.abs().max()):
        raise UserError(
            f"variant {variant}: Inductor compiled the model into one whose logits are {difference:.3g} "
            f"off (root mean square; quantizing changes {rounding:.3g}); it is not used"
        )


@contextmanager
def inductor_settings(settings: Settings, **options: Any) -> Iterator[None]:
    """Inductor's options while compiling: freezing, and code for the number of threads asked for."""
    from torch._inductor import config

    patched: dict[str, Any] = {"freezing": True, "cpp.threads": settings.threads, **options}
    logging.getLogger("torch._inductor").setLevel(logging.ERROR)
    with cast(Any, config).patch(patched):
        yield
