"""The variants there are, by name; other packages add theirs through the entry point ``ptdq.variants``.

Importing this module imports no variant: each is imported when asked for, so that the worker loads
one runtime and not all.
"""

from __future__ import annotations

import importlib
from functools import cache

from ptdq.errors import UserError, line_of
from ptdq.variants.base import Variant

ENTRY_POINT = "ptdq.variants"

BUILT_IN: dict[str, str] = {
    "fp32": "ptdq.variants.fp32:Fp32",
    "int8-dynamic": "ptdq.variants.dynamic:Int8Dynamic",
    "int8-dynamic-mixed": "ptdq.variants.dynamic:Int8DynamicMixed",
    "int8-dynamic-embeddings": "ptdq.variants.dynamic:Int8DynamicEmbeddings",
    "float16-dynamic": "ptdq.variants.dynamic:Float16Dynamic",
    "bfloat16": "ptdq.variants.bfloat16:Bfloat16",
    "fp32-compiled": "ptdq.variants.aot:Fp32Compiled",
    "int8-torchao": "ptdq.variants.torchao_eager:Int8Torchao",
    "int8-pt2e-dynamic": "ptdq.variants.pt2e:Int8Pt2eDynamic",
    "int8-pt2e-static": "ptdq.variants.pt2e:Int8Pt2eStatic",
    "onnx-fp32": "ptdq.variants.onnx_runtime:OnnxFp32",
    "onnx-int8-dynamic": "ptdq.variants.onnx_runtime:OnnxInt8Dynamic",
    "openvino-fp32": "ptdq.variants.openvino_runtime:OpenvinoFp32",
    "openvino-int8-static": "ptdq.variants.openvino_runtime:OpenvinoInt8Static",
    "int8-best": "ptdq.variants.best:Int8Best",
}


@cache
def _places() -> dict[str, str]:
    """Name of each variant to ``module:class``."""
    import importlib.metadata  # with e-mail and more, which workers need not load

    found = importlib.metadata.entry_points(group=ENTRY_POINT)
    return {**{entry.name: entry.value for entry in found}, **BUILT_IN}


def names() -> list[str]:
    """Names of all variants, built in or added by other packages, installed here or not."""
    return list({**BUILT_IN, **_places()})


def check_name(name: str) -> str:
    """``name`` if there is such a variant, or if it is ``package.module:Class``.

    Raises:
        UserError: there is none; lists those there are.
    """
    if name not in _places() and ":" not in name:
        raise UserError(
            f"unknown variant '{name}'; there are {', '.join(names())} "
            "(or package.module:Class for one of your own)"
        )
    return name


def get(name: str) -> Variant:
    """The variant of this name.

    Raises:
        UserError: there is none of this name (lists those there are), or it cannot be imported, or is
            no complete variant.
    """
    # Without a look at what other packages add where it is not needed: that reads the metadata of all.
    place = BUILT_IN.get(name) or _places().get(check_name(name), name)
    module, _, attribute = place.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
        if not (isinstance(found, type) and issubclass(found, Variant)):
            raise UserError(f"variant '{name}': {place} is no subclass of ptdq.variants.base.Variant")
        variant = found()
    except UserError:
        raise
    except Exception as error:
        # Anyone's module runs here, and may fail with anything.
        raise UserError(f"variant '{name}': {place} cannot be loaded ({line_of(error)})") from error
    lacks = [field for field in ("name", "summary") if not isinstance(getattr(variant, field, None), str)]
    if lacks:
        raise UserError(f"variant '{name}': the class {place} has no {' and no '.join(lacks)}")
    return variant


def missing_packages(variant: Variant) -> list[str]:
    """Distributions that the variant needs and that are not installed."""
    import importlib.metadata

    missing = []
    for distribution in variant.requires:
        try:
            importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            missing.append(distribution)
    return missing


def check_installed(name: str) -> None:
    """Raises UserError, with what to do, where packages that the variant needs are missing."""
    variant = get(name)
    if missing := missing_packages(variant):
        raise UserError(f"variant {name} needs {', '.join(missing)} ({install_hint(variant)})")


def install_hint(variant: Variant) -> str:
    """What to do where a variant's packages are missing."""
    return f"pip install 'ptdq[{variant.extra}]'" if variant.extra else "install them with pip"
