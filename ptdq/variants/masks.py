"""Attention masks of OpenVINO's graphs in which a token may see nothing at all.

OpenVINO's attention gives such a token NaN (torch: zeros), and a layer behind it spreads them to the
whole document, since 0 times NaN is NaN. It is padding alone that sees nothing: beyond the window of
sliding attention (ModernBERT, Gemma3), or in front of a decoder's document. Nobody looks at its results.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_ATTENTION = "ScaledDotProductAttention"
_MASK = 3
"""Place of the mask among the inputs of attention."""
MOST_TOKENS = 4096
"""Of a probe; its masks have the square of it. Sliding windows have less, up to now."""


def let_all_see(graph: Any, longest: int | None) -> int:
    """Have tokens that see nothing see everything, in place, where there can be any.

    Found by trying the masks alone: on one token with padding, as long as the model takes it. Graphs in
    which every token sees one stay as they are.

    Args:
        graph: float, of OpenVINO; its inputs are named.
        longest: tokens that the model takes; None: any number.

    Returns:
        How many masks were changed.
    """
    from openvino import opset13 as ops

    readers: dict[Any, list[Any]] = {}
    for node in graph.get_ordered_ops():
        if node.get_type_name() == _ATTENTION and len(node.input_values()) > _MASK:
            mask = node.input_value(_MASK)
            if mask.get_element_type().get_type_name() == "boolean":
                readers.setdefault((mask.get_node().get_friendly_name(), mask.get_index()), []).append(
                    node
                )
    changed = 0
    for nodes in readers.values():
        mask = nodes[0].input_value(_MASK)
        if _hides_all(graph, mask, min(longest or MOST_TOKENS, MOST_TOKENS)):
            sees = ops.reduce_logical_or(mask, np.array([-1]), keep_dims=True)
            open_mask = ops.logical_or(mask, ops.logical_not(sees))
            for node in nodes:
                node.input(_MASK).replace_source_output(open_mask.output(0))
            changed += 1
    if changed:
        graph.validate_nodes_and_infer_types()
    return changed


def _hides_all(graph: Any, mask: Any, tokens: int) -> bool:
    """Whether a token sees nothing in a document of one token, with padding behind or in front of it."""
    import openvino

    of_mask = openvino.Model([mask], graph.get_parameters(), "mask")
    compute = openvino.Core().compile_model(of_mask.clone(), "CPU")
    for place in (0, tokens - 1):
        seen = np.zeros((1, tokens), dtype=np.int64)
        seen[0, place] = 1
        zeros = np.zeros_like(seen)
        inputs = [seen if "attention_mask" in port.get_names() else zeros for port in compute.inputs]
        if not compute(inputs)[0].any(axis=-1).all():
            return True
    return False
