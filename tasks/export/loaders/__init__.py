"""What goes beside an exported artifact, so that it is loaded without this package.

The other files here are copied, never imported: ``load.py`` beside every artifact, and of the rest
what the variant's :attr:`tasks.variants.base.Variant.exported` names. Each repeats in a few lines what
the variant's ``load`` does in the worker, with its settings; the tests hold both to the same logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

RUNTIME = "runtime.py"
LOAD = Path(__file__).with_name("load.py")
_HERE = Path(__file__).parent
_REBUILD = _HERE.parents[1] / "variants" / "rebuild.py"


def alone(runtime: str) -> Mapping[str, Path]:
    """A runtime that needs no other file."""
    return {RUNTIME: _HERE / runtime}


def eager(runtime: str) -> Mapping[str, Path]:
    """A runtime that makes a torch module, with what all of those need."""
    return {**alone(runtime), "eager.py": _HERE / "eager.py", _REBUILD.name: _REBUILD}
