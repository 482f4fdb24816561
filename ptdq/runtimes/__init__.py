"""What goes beside an exported artifact, so that it is loaded without this package.

The other files here are self-contained and copied verbatim: ``load.py`` and ``padding.py`` beside every
artifact, and of the rest what the variant's :attr:`ptdq.variants.base.Variant.exported` names. Those of
the runtimes with files of their own (AOTInductor, ONNX Runtime, OpenVINO) are what the worker calls as
well, so that what is shipped is what was measured; the eager ones repeat in a few lines what the
variant's ``load`` does with the package's checks around it, and the tests hold both to the same logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

RUNTIME = "runtime.py"
_HERE = Path(__file__).parent
ALWAYS = {name: _HERE / name for name in ("load.py", "padding.py")}
"""What every export has."""


def alone(runtime: str) -> Mapping[str, Path]:
    """A runtime that needs no other file."""
    return {RUNTIME: _HERE / runtime}


def eager(runtime: str, *shared: str) -> Mapping[str, Path]:
    """A runtime that makes a torch module, with what all of those need and files of the variants."""
    verbatim = {name: _HERE / name for name in ("rebuild.py", *shared)}
    return {**alone(runtime), "eager.py": _HERE / "eager.py", **verbatim}
