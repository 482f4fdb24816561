"""The demonstration: a synthetic corpus and a small BERT trained on it, made on this machine."""

from __future__ import annotations

from .build import DemoFiles, make_demo
from .recipe import Recipe

__all__ = ["DemoFiles", "Recipe", "make_demo"]
