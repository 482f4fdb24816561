"""The report as one HTML file that can be mailed: plots inside, tables that sort, no network.

It is made from the same Markdown as the report. Raw HTML is not let through, so text of the data is shown
as it is written; and the page may load nothing and run no script but its own, by its policy.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib import resources

from markdown_it import MarkdownIt

_RENDERER = MarkdownIt("commonmark", {"html": False}).enable("table")


def page(title: str, markdown: str) -> str:
    """A whole page.

    Args:
        title: of the page.
        markdown: the report, with plots as data and no relative links.
    """
    template, script = (
        (resources.files(__package__) / name).read_text(encoding="utf-8")
        for name in ("page.html", "page.js")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    # The body last: whatever stands in it is replaced no more.
    before, after = template.split("{{body}}")
    before = before.replace("{{policy}}", policy).replace("{{title}}", escape(title))
    body: str = _RENDERER.render(markdown)
    return before + body + after.replace("{{script}}", script)
