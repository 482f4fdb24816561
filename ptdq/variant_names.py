"""Where each variant is, by name; other packages add theirs through the entry point ``ptdq.variants``.

Below the parameters, which know the names and nothing else of a variant.
"""

from __future__ import annotations

from functools import cache

from ptdq.errors import UserError

ENTRY_POINT = "ptdq.variants"

BUILT_IN: dict[str, str] = {
    "fp32": "ptdq.variants.fp32:Fp32",
    "int8-dynamic": "ptdq.variants.dynamic:Int8Dynamic",
    "int8-dynamic-mixed": "ptdq.variants.dynamic:Int8DynamicMixed",
    "int8-dynamic-embeddings": "ptdq.variants.dynamic:Int8DynamicEmbeddings",
    "float16-dynamic": "ptdq.variants.dynamic:Float16Dynamic",
    "bfloat16": "ptdq.variants.bfloat16:Bfloat16",
    "fp32-compiled": "ptdq.variants.aot:Fp32Compiled",
    "bfloat16-compiled": "ptdq.variants.aot:Bfloat16Compiled",
    "int8-torchao": "ptdq.variants.torchao_eager:Int8Torchao",
    "int8-pt2e-dynamic": "ptdq.variants.pt2e:Int8Pt2eDynamic",
    "int8-pt2e-static": "ptdq.variants.pt2e:Int8Pt2eStatic",
    "int8-mixed-bf16": "ptdq.variants.pt2e:Int8MixedBf16",
    "onnx-fp32": "ptdq.variants.onnx_runtime:OnnxFp32",
    "onnx-int8-dynamic": "ptdq.variants.onnx_runtime:OnnxInt8Dynamic",
    "onnx-int8-static": "ptdq.variants.onnx_static:OnnxInt8Static",
    "openvino-fp32": "ptdq.variants.openvino_runtime:OpenvinoFp32",
    "openvino-bfloat16": "ptdq.variants.openvino_runtime:OpenvinoBfloat16",
    "openvino-int8-static": "ptdq.variants.openvino_runtime:OpenvinoInt8Static",
    "openvino-int8-static-bf16": "ptdq.variants.openvino_runtime:OpenvinoInt8StaticBf16",
    "int8-best": "ptdq.variants.best:Int8Best",
}
"""Name to ``module:class``."""

EARLIER = "@baseline"
"""What is added to a variant's name where its artifact is that of the baseline run, measured again."""


def earlier_name(name: str) -> str:
    """What the artifact of the baseline run is called among the variants of a new run."""
    return f"{name}{EARLIER}"


def is_earlier(name: str) -> bool:
    """Whether it is the name of a baseline run's artifact that is measured again."""
    return name.endswith(EARLIER)


def registered(name: str) -> str:
    """The name of the variant whose code loads it."""
    return name.removesuffix(EARLIER)


@cache
def places() -> dict[str, str]:
    """Name of each variant to ``module:class``, built-in ones first."""
    import importlib.metadata  # with e-mail and more, which workers need not load

    added = {entry.name: entry.value for entry in importlib.metadata.entry_points(group=ENTRY_POINT)}
    return {**BUILT_IN, **added, **BUILT_IN}


def names() -> list[str]:
    """Names of all variants, built in or added by other packages, installed here or not."""
    return list(places())


def check_name(name: str) -> str:
    """``name`` if there is such a variant, or if it is ``package.module:Class``.

    Raises:
        UserError: there is none; lists those there are.
    """
    if name not in places() and ":" not in name:
        raise UserError(
            f"unknown variant '{name}'; there are {', '.join(names())} "
            "(or package.module:Class for one of your own)"
        )
    return name
