"""How a finished run ends because of its gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def failed_gates(gates: Sequence[Mapping[str, Any]]) -> list[str]:
    """Texts of the gates that fail the run: none where some variant passes all of its own."""
    by_variant: dict[str, list[Mapping[str, Any]]] = {}
    for gate in gates:
        by_variant.setdefault(gate["variant"], []).append(gate)
    if any(all(gate["passed"] for gate in of_variant) for of_variant in by_variant.values()):
        return []
    return [f"gate {gate['name']} failed: {gate['text']}" for gate in gates if not gate["passed"]]
