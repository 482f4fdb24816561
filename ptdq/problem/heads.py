"""Models that answer nothing that is measured here: why not, and what is planned."""

from __future__ import annotations


def other_head(declared: str) -> str:
    """Why a model whose head is no sequence classifier cannot be measured.

    Args:
        declared: the architectures that its configuration names, with commas.
    """
    said = f"its head is no sequence classifier (architectures: {declared})"
    if "TokenClassification" in declared:
        return (
            f"{said}: it labels tokens, which is not measured yet (planned: F1 by entity); models for "
            "sequence classification are measured"
        )
    if all(name.endswith("Model") for name in declared.split(", ")):
        return (
            f"{said}: it embeds texts, which is not measured yet (planned: the quality of its "
            "similarities); to classify, fine-tune it with AutoModelForSequenceClassification first"
        )
    return f"{said}; fine-tune it with AutoModelForSequenceClassification first"
