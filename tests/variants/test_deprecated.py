"""What of torch is deprecated is used in as few places as can be."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("package", "places"),
    [
        ("torch.ao.quantization", {"ptdq/variants/dynamic.py"}),
        ("torch.ao.nn", {"ptdq/variants/dynamic.py", "ptdq/runtimes/rebuild.py"}),
    ],
)
def test_one_module_touches_the_deprecated_quantization(package: str, places: set[str]) -> None:
    files = [
        path for room in ("ptdq", "tasks", "flows", "examples") for path in (ROOT / room).rglob("*.py")
    ]
    users = {path for path in files if any(f"{name}.".startswith(f"{package}.") for name in used(path))}
    assert {str(path.relative_to(ROOT)) for path in users} == places


def used(path: Path) -> set[str]:
    """Names of what a file imports or reaches by attributes, with dots; not what its prose mentions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
        elif isinstance(node, ast.Attribute):
            found.add(ast.unparse(node))
    return found
