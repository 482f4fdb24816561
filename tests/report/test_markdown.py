"""Data shows as it is written and can neither add markup nor break a table."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ptdq.report import markdown
from ptdq.text import plain

NASTY = [
    "a | b",
    "`tick` and ``two``",
    "line\n# heading\n| a | b |\n\n---",
    "<script>alert(1)</script>",
    "[x](http://evil.example) ![i](http://evil.example/i.png)",
    "see https://evil.example/a_b_c or www.evil.example or me@evil.example",
    r"back\slash \| pipe \` tick \\| end\\",
    "&lt;b&gt; &amp; &#60;",
    "$x_1$ *bold* __under__ ~~out~~ :tada:",
    "体育 \u202e reversed \x00 control \u3000 wide",
]
RENDERER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
texts = st.one_of(st.text(max_size=60), st.text("`|\\<>[]()!*_~$& \nab:/@w.", max_size=40))


def shown(source: str) -> str:
    """What a reader sees of Markdown; fails on any element that data must not make."""
    rendered = RENDERER.render(f"x{source}x")
    tags = set(re.findall(r"</?([a-zA-Z]\w*)", rendered))
    assert tags <= {"p", "code"}, rendered
    return html.unescape(re.sub(r"</?(?:p|code)>", "", rendered)).strip()[1:-1]


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("as_markdown", [markdown.code, markdown.prose])
def test_nasty_text_is_shown_as_written(text: str, as_markdown: Callable[[object], str]) -> None:
    assert shown(as_markdown(text)) == plain(text)


@given(texts)
@example("http://a`http://b")
@example("`")
def test_prose_is_shown_as_written(text: str) -> None:
    assert shown(markdown.prose(text)) == plain(text)


@given(texts)
@example("http://a `http://b` (`c`). `")
@example("a `` `b` c")
def test_reasons_are_shown_as_written_but_for_backticks(text: str) -> None:
    assert shown(markdown.with_code(text)).replace("`", "") == plain(text).replace("`", "")


def test_code_in_a_reason_is_code() -> None:
    assert markdown.with_code("not *that*: `a b`, see `c`.") == r"not \*that\*: `a b`, see `c`."


@given(texts)
@example("`")
def test_code_is_shown_as_written(text: str) -> None:
    assert shown(markdown.code(text)) == plain(text)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=3))
@example([("\\", "a|")])
@example([(r"\|", r"\\|")])
def test_table_has_the_cells_it_was_given(rows: list[tuple[str, str]]) -> None:
    cells = [[markdown.code(a), markdown.prose(b)] for a, b in rows]
    rendered = RENDERER.render(markdown.table(["a", "b"], cells))
    assert rendered.count("<tr>") == len(rows) + 1
    bodies = re.findall(r"<td[^>]*>(.*?)</td>", rendered, re.DOTALL)
    seen = [html.unescape(re.sub(r"</?code>", "", body)).replace(" ", "") for body in bodies]
    assert [s.replace("\\", "") for s in seen] == [
        plain(text).replace(" ", "").replace("\\", "") for row in rows for text in row
    ]


@given(st.text("`a\n ", max_size=40))
def test_block_is_not_left(text: str) -> None:
    rendered = RENDERER.render(markdown.block(text) + "\n\nafter")
    assert rendered.count("<pre>") == 1
    assert rendered.endswith("<p>after</p>\n")


def test_links_in_prose_are_code() -> None:
    for link in ("http://a.example", "www.a.example", "me@a.example"):
        assert f"`{link}`" in markdown.prose(f"see {link} there")


def test_cut_to_the_limit() -> None:
    assert plain("x" * 100, 80) == "x" * 79 + "…"
    assert plain("x" * 80, 80) == "x" * 80
