"""Reading float models: from a checkpoint directory, as a skeleton without weights, or by a loader.

A :class:`Source` is the normalized form of what the user named: a directory with ``config.json``
(or a user's loader), ``model.safetensors`` and the tokenizer's files. Everything that needs the
float model starts from it.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from ptdq.errors import UserError, line_of
from ptdq.inputs.arrays import Inputs, Predictor
from ptdq.runtimes import rebuild
from ptdq.store.cache import MANIFEST
from ptdq.store.disk import write_json

# transformers imports torchao where it is installed, which announces on import what it lacks.
for _noisy in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_noisy).setLevel(logging.ERROR)

WEIGHTS = "model.safetensors"
SHAPE = "source.json"
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
OF_CONVOLUTIONS = (
    "static quantization covers convolutions: openvino-int8-static all of them, int8-pt2e-static some "
    "(over one dimension, those that an nn.ReLU follows)"
)
"""What to use for a model that dynamic quantization does little for."""


class CodeAllowed(Protocol):
    """What the run's parameters say of code: :class:`ptdq.variants.base.Settings` does."""

    @property
    def loader(self) -> str | None: ...

    @property
    def trust_remote_code(self) -> bool: ...


@dataclass(frozen=True)
class Source:
    """A float model on disk.

    Attributes:
        directory: holds ``config.json``, ``model.safetensors`` (float32) and the tokenizer.
        loader: ``package.module:function`` for a model that transformers does not know. The
            function takes the directory and returns the module; its weights are then read from
            ``model.safetensors``.
        trust_remote_code: whether code that comes with the checkpoint may run.
    """

    directory: Path
    loader: str | None = None
    trust_remote_code: bool = False

    @classmethod
    def open(cls, directory: Path, settings: CodeAllowed) -> Source:
        """The source whose shape :meth:`copy_shape` put into ``directory``.

        Which code may run is the run's to say: what the directory asks for is not looked at.
        """
        return cls(directory, settings.loader, settings.trust_remote_code)

    def copy_shape(self, directory: Path) -> None:
        """Copy all but the weights (configuration, tokenizer) so that :meth:`open` works there.

        ``source.json`` is for the loader of an export, whose user trusts the directory as a whole.
        """
        for file in self.directory.iterdir():
            if file.is_file() and file.name not in (WEIGHTS, SHAPE, MANIFEST):
                shutil.copyfile(file, directory / file.name)
        shape = {"loader": self.loader, "trust_remote_code": self.trust_remote_code}
        write_json(directory / SHAPE, shape)

    def skeleton(self) -> nn.Module:
        """The module in evaluation mode with its parameters on the meta device: no memory used."""
        with rebuild.meta_parameters():
            return self._build().eval()

    def module(self) -> nn.Module:
        """The module in float32, evaluation mode, with its weights."""
        module = self.skeleton()
        read_weights(module, self.directory / WEIGHTS)
        return module

    def tokenizer(self) -> Any:
        """The tokenizer that was saved beside the weights."""
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(
            self.directory, local_files_only=True, trust_remote_code=self.trust_remote_code
        )

    def config(self) -> Any:
        """The configuration as transformers reads it; None for a module of a loader."""
        if self.loader is not None:
            return None
        from transformers import AutoConfig

        return AutoConfig.from_pretrained(
            self.directory, local_files_only=True, trust_remote_code=self.trust_remote_code
        )

    def family(self) -> str:
        """What transformers calls the architecture; empty for a module of a loader."""
        config = self.config()
        if config is None:
            return ""
        # Of one name, and two models: this attention is another for long inputs than for short ones.
        sparse = getattr(config, "attention_type", None) == "block_sparse"
        return f"{config.model_type}, block sparse" if sparse else str(config.model_type)

    def longest_input(self) -> int | None:
        """The most tokens that model and tokenizer take; None where neither names a bound."""
        longest = int(getattr(self.tokenizer(), "model_max_length", 0) or 0)
        # transformers says "no bound" with a number of thirty digits.
        bounds = [positions(self.config()), longest if 0 < longest < 10**9 else None]
        return min((bound for bound in bounds if bound is not None), default=None)

    def pads(self) -> bool:
        """Whether documents of different lengths can be a batch: decoders look for the padding's id."""
        config = self.config()
        known = config is None or getattr(config.get_text_config(), "pad_token_id", None) is not None
        return known and self.tokenizer().pad_token_id is not None

    def _build(self) -> nn.Module:
        if self.loader is not None:
            return call_loader(self.loader, self.directory)
        with only_needed():
            from transformers import AutoModelForSequenceClassification

        model = AutoModelForSequenceClassification.from_config(
            self.config(), dtype=torch.float32, trust_remote_code=self.trust_remote_code
        )
        return rebuild.plain_linear(model)


def positions(config: Any) -> int | None:
    """The longest input that a configuration allows; None where it names no bound."""
    limit = getattr(config, "max_position_embeddings", None)
    if limit is None or limit <= 0:
        return None
    if config.model_type in _PADDING_FIRST:
        return int(limit) - int(config.pad_token_id or 0) - 1
    # The same, from an index that is not the configuration's.
    return int(limit) - 2 if config.model_type == "mpnet" else int(limit)


# Architectures whose position ids start after the padding id: the table is larger than the input.
_PADDING_FIRST = (
    "roberta", "xlm-roberta", "camembert", "roberta-prelayernorm", "xlm-roberta-xl", "longformer",
    "data2vec-text", "ibert", "luke", "xmod", "esm",
)  # fmt: skip
_UNNEEDED = ("pandas", "scipy", "sklearn", "torchao")


@contextmanager
def only_needed() -> Iterator[None]:
    """Inside, transformers does not import what it imports only because it is installed.

    None of it is used to classify text, and it takes a worker more time than the artifact does. What
    None stands for in ``sys.modules`` is documented: there is no such module.
    """
    hidden = [name for name in _UNNEEDED if name not in sys.modules]
    import_utils = importlib.import_module("transformers.utils.import_utils")

    def ask_again() -> None:
        for name in hidden:
            getattr(import_utils, f"is_{name}_available").cache_clear()

    ask_again()  # it may have been told before that they are there
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        importlib.import_module("transformers.modeling_utils")  # what all models need, and imports most
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        ask_again()


def resolve_loader(loader: str) -> Callable[[str], nn.Module]:
    """The function that ``package.module:function`` names.

    Raises:
        UserError: it is not of that form, cannot be imported or is not there.
    """
    module_name, _, function = loader.partition(":")
    if not module_name or not function:
        raise UserError(f"model_loader '{loader}': expected package.module:function")
    try:
        resolved = getattr(importlib.import_module(module_name), function)
    except Exception as error:
        # The user's module runs here, and may fail with anything.
        raise UserError(f"model_loader '{loader}': it cannot be imported ({line_of(error)})") from error
    return cast(Callable[[str], nn.Module], resolved)


def call_loader(loader: str, directory: Path) -> nn.Module:
    """The module that ``package.module:function`` makes of a directory.

    Raises:
        UserError: the function cannot be had, fails, or returns something else.
    """
    function = resolve_loader(loader)
    try:
        made: object = function(str(directory))
    except Exception as error:
        raise UserError(f"model_loader '{loader}': it failed ({line_of(error)})") from error
    if not isinstance(made, nn.Module):
        raise UserError(
            f"model_loader '{loader}': it returned a {type(made).__name__}, and no torch.nn.Module"
        )
    return made


def check_forward(loader: str, module: nn.Module, inputs: Inputs) -> None:
    """Run the module of a loader once.

    Raises:
        UserError: its forward fails, or does not give logits, [batch, classes].
    """
    try:
        logits = torch_predictor(module)(inputs)
    except Exception as error:
        raise UserError(
            f"model_loader '{loader}': {type(module).__name__}.forward fails on {', '.join(inputs)} "
            f"({line_of(error)})"
        ) from error
    if logits.ndim != 2:
        raise UserError(
            f"model_loader '{loader}': {type(module).__name__}.forward gives {list(logits.shape)}, "
            "and not logits, [batch, classes]"
        )


def unique_tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    """The state dict with each shared tensor once (safetensors refuses two names for one memory)."""
    seen: dict[tuple[int, tuple[int, ...]], str] = {}
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in module.state_dict().items():
        if not isinstance(tensor, torch.Tensor):
            continue
        key = (tensor.data_ptr(), tuple(tensor.shape))
        if tensor.numel() and key in seen:
            continue
        seen[key] = name
        tensors[name] = tensor.detach().contiguous()
    return tensors


def write_weights(module: nn.Module, path: Path) -> None:
    """Save the tensors of ``module`` as safetensors."""
    save_file(unique_tensors(module), path)


def read_weights(module: nn.Module, path: Path) -> None:
    """Give ``module`` (a skeleton) the tensors of a file that :func:`write_weights` made.

    Raises:
        UserError: it is no such file, or a tensor has another shape, is missing or is not of this
            module.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: it cannot be read ({line_of(error)})") from error
    assign_tensors(module, tensors, path)


def assign_tensors(module: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """:func:`ptdq.runtimes.rebuild.assign_tensors`, with an error that names ``path``.

    Raises:
        UserError: a tensor has another shape, is missing or is not of this module.
    """
    try:
        rebuild.assign_tensors(module, tensors)
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path}: {error}") from error


def torch_predictor(module: nn.Module) -> Predictor:
    """A module that takes a tokenizer's outputs as keywords, as a :data:`Predictor`.

    It is given those that its forward names (all, where that ends in ``**kwargs``).
    """
    parameters = inspect.signature(module.forward).parameters
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())

    def predict(inputs: Inputs) -> NDArray[np.float32]:
        with torch.inference_mode():
            output = module(
                **{n: torch.from_numpy(ids) for n, ids in inputs.items() if anything or n in parameters}
            )
            logits = output if isinstance(output, torch.Tensor) else output.logits
            return cast(NDArray[np.float32], logits.float().numpy())

    return predict


def leaf_modules(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Modules that hold parameters of their own, with their qualified names."""
    return [
        (name, child)
        for name, child in module.named_modules()
        if next(child.parameters(recurse=False), None) is not None
    ]
