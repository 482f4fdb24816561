"""What is said of wrong input: one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ptdq.errors import UserError
from ptdq.inputs.documents import RawDocuments, read_documents


def complaint(function: Callable[..., object], *args: Any, **kwargs: Any) -> str:
    """The one line that ``function`` complains with."""
    with pytest.raises(UserError) as caught:
        function(*args, **kwargs)
    text = str(caught.value)
    assert text
    assert len(text.splitlines()) == 1
    return text


def says(text: str, *parts: object) -> None:
    """Each of these is in the line."""
    assert [part for part in parts if str(part) not in text] == [], text


def read(path: Path | str, **values: Any) -> RawDocuments:
    """The documents of a file, with columns called ``text`` and ``label``."""
    given: dict[str, Any] = {
        "text_column": "text", "label_column": "label", "encoding": "utf-8", "limit": None, "seed": 0,
    }  # fmt: skip
    return read_documents(str(path), **given | values)
