"""The longest function and module, printed; a function that is longer than a screen fails.

``python -m tests.checks.lengths``. How many parameters one may take, ruff says (PLR0913).
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

MAX_FUNCTION = 80
LONG_MODULE = 250


class Sized(NamedTuple):
    """Something with lines: how many, and where."""

    lines: int
    name: str


def functions(path: Path) -> list[Sized]:
    """Every function of a file with its lines, docstring and all, without its decorators."""
    return [
        Sized((node.end_lineno or node.lineno) - node.lineno + 1, f"{path}:{node.lineno} {node.name}")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def source_files() -> list[Path]:
    """The Python files of the repository; links to them are not counted twice."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", "*.py"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [path for line in listed.stdout.splitlines() if (path := Path(line)).is_file()]


def main() -> int:
    """Print; 1 where a function is too long."""
    files = source_files()
    modules = [Sized(len(path.read_text(encoding="utf-8").splitlines()), str(path)) for path in files]
    found = [function for path in files for function in functions(path)]
    long_modules = sum(module.lines > LONG_MODULE for module in modules)
    print(f"longest function: {max(found).lines} lines, {max(found).name}")
    print(
        f"longest module: {max(modules).lines} lines, {max(modules).name} "
        f"({long_modules} of {len(modules)} over {LONG_MODULE})"
    )
    too_long = sorted((function for function in found if function.lines > MAX_FUNCTION), reverse=True)
    for function in too_long:
        print(f"{function.name}: {function.lines} lines, {MAX_FUNCTION} are allowed", file=sys.stderr)
    return 1 if too_long else 0


if __name__ == "__main__":
    sys.exit(main())
