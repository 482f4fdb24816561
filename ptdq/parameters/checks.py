"""Checks of single values, for the parameters of every flow."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from ptdq.errors import UserError
from ptdq.variant_names import check_name

ALL = "all"
"""In place of names of variants: every one that is installed."""

LONGEST_NAME = 100
"""Characters of the name of a run."""

RUN_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_NAME - 1}}}")


def variant_name(value: str) -> str:
    """Validates the name of a variant; pydantic expects ValueError where there is none."""
    try:
        return value if value == ALL else check_name(value)
    except UserError as error:
        raise ValueError(str(error)) from error


def distinct(value: list[Any]) -> list[Any]:
    """Validates a list in which nothing may stand twice."""
    if len(set(value)) != len(value):
        raise ValueError(f"the same value twice in {value}")
    return value


def plain_name(value: str | None) -> str | None:
    """Validates the name of a directory that is to be made among the results."""
    if value is not None and len(value) > LONGEST_NAME:
        raise ValueError(
            f"'{value[:20]}...' is too long to name a directory: {len(value)} characters, "
            f"{LONGEST_NAME} at most"
        )
    if value is not None and not RUN_ID.fullmatch(value):
        raise ValueError(
            f"'{value}' cannot name a directory: use letters, digits, dots, dashes and underscores, "
            "and no path separator"
        )
    return value


def local_path(value: str) -> str:
    """Validates a directory that is written to."""
    if "://" in value:
        raise ValueError(
            f"'{value}' is a URL, and a run is written to a local path; give publish_to for a copy there"
        )
    return value


def share(value: Any) -> Any:
    """Reads ``5%`` as 0.05; anything else is left to pydantic."""
    text = value.strip() if isinstance(value, str) else ""
    if not text.endswith("%"):
        return value
    try:
        return float(text[:-1]) / 100
    except ValueError:
        return value


Share = Annotated[float, BeforeValidator(share), Field(gt=0, lt=1)]
MaxLength = Annotated[int, Field(ge=3)]
VariantName = Annotated[str, AfterValidator(variant_name)]
