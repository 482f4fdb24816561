"""Families of models that an exporter turns into another model, or cannot turn at all.

Each was tried with small models (``tests/variants/matrix.py``). A family is what transformers calls it.
"""

from __future__ import annotations

INSTEAD = "use int8-dynamic, int8-dynamic-embeddings or int8-torchao"

FIXED_WHEN_TRACED = {
    "longformer": f"its attention is of the length that it was exported with; {INSTEAD}",
    "funnel": f"its pooling is of the length that it was exported with; {INSTEAD}",
    "big_bird, block sparse": f"its attention is another where documents are long; {INSTEAD}",
}
"""Refused by every exporter: the graph is right for documents of one length alone."""

NOT_IN_OPENVINO = FIXED_WHEN_TRACED | {
    "t5": "OpenVINO cannot convert the attention of its decoder; use onnx-int8-dynamic or int8-dynamic",
}
_EOS = "torch.export cannot take its search for the last token; use onnx-int8-dynamic or int8-dynamic"
_LENGTHS = (
    "torch.export cannot take documents of every length with it; use openvino-int8-static, "
    "onnx-int8-dynamic or int8-dynamic"
)
NOT_IN_TORCH_EXPORT = FIXED_WHEN_TRACED | {
    "t5": _EOS,
    "bart": _EOS,
    "mobilebert": _LENGTHS,
    "xlnet": _LENGTHS,
}
_SIZES = {
    "deberta": "Inductor cannot compile the sizes that its attention takes from the data; use "
    "openvino-int8-static, onnx-int8-dynamic or int8-dynamic",
}
NOT_IN_INDUCTOR = NOT_IN_TORCH_EXPORT | _SIZES
_ELSEWHERE = "use openvino-int8-static, onnx-int8-static or int8-dynamic"
NOT_IN_PT2E_DYNAMIC = NOT_IN_TORCH_EXPORT | {
    "convbert": f"PT2E cannot take the convolutions of its attention; {_ELSEWHERE}",
    "big_bird": f"PT2E cannot take its graph; {_ELSEWHERE}",
}
NOT_IN_PT2E_STATIC = NOT_IN_PT2E_DYNAMIC | _SIZES
