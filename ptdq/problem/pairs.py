"""Whether a model was trained on pairs of texts, as far as its configuration tells.

Two kinds of token types, as BERT has them, tell nothing: models of single texts have them as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_OF_PAIRS = ("entail", "contradict", "duplicate", "paraphras", "equivalent")
"""In names of classes: relations that two texts have, and one alone has not."""

_CROSS_ENCODER = ("sentence_transformers", "sbert_ce_default_activation_function")
"""Keys that the library sentence-transformers leaves in the configuration of a cross-encoder."""


def is_cross_encoder(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is that of a cross-encoder of the library sentence-transformers."""
    return any(config.get(key) for key in _CROSS_ENCODER)


def why_pairs(class_names: Sequence[str], config: Mapping[str, Any]) -> str:
    """Why a model is one of pairs, in words; empty where nothing says that it is.

    Args:
        class_names: by class id.
        config: keys and values of its ``config.json``.
    """
    relations = [name for name in class_names if any(stem in name.lower() for stem in _OF_PAIRS)]
    if relations:
        return f"its classes ({', '.join(relations[:3])}) are relations of two texts"
    if is_cross_encoder(config):
        return "its configuration is that of a cross-encoder (sentence-transformers)"
    return ""
