"""A configuration file with comments, from what was proposed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path

import yaml

from ptdq.analysis.propose import Proposal
from ptdq.errors import UserError
from ptdq.parameters import Parameters
from ptdq.parameters.json_schema import first_line
from ptdq.text import plain

_WIDTH = 100


def configuration(proposal: Proposal, file: Path) -> str:
    """The text of the file: each parameter below what it means and why it has its value.

    Args:
        proposal: the values.
        file: where it will lie.
    """
    parts = [
        first_line(file),
        *_comment(f"Made by `ptdq init` for one model and its documents. Use: ptdq run --config {file}"),
        "#",
        *(line for text in proposal.found for line in _comment(text)),
        "#",
        *_comment("What a run of it can decide, on the machine where this file was made:"),
        *(line for text in proposal.decides for line in _comment(text)),
    ]
    for name, value in proposal.values.items():
        parts.append("")
        parts += _comment(Parameters.model_fields[name].description or "")
        if name in proposal.reasons:
            parts += _comment(f"Here: {proposal.reasons[name]}.")
        # Lists on their line; what is in braces is the same without them.
        written = yaml.safe_dump({name: value}, default_flow_style=True, allow_unicode=True, width=10_000)
        parts.append(written.strip()[1:-1])
    return "\n".join(parts) + "\n"


def check_new(file: Path) -> None:
    """Raises UserError where there is such a file already: it is never written over."""
    if file.exists() or file.is_symlink():
        raise UserError(f"out {file}: it is there already; name another file (--out), or remove it")


def write_new(file: Path, text: str) -> None:
    """Write the file; never over another.

    Raises:
        UserError: there is one, or it cannot be written.
    """
    check_new(file)
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except OSError as error:
        raise UserError(f"out {file}: it cannot be written ({error.strerror or error})") from error


def _comment(text: str) -> Iterable[str]:
    """The text as lines of a comment, whatever names and columns of others are in it."""
    return textwrap.wrap(
        plain(text),
        _WIDTH,
        initial_indent="# ",
        subsequent_indent="#   ",
        break_long_words=False,
        break_on_hyphens=False,
    )
