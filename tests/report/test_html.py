"""The report as one file: whole, loading nothing, and with no markup of the data; also in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ptdq.report import build_report
from ptdq.report.html import page
from ptdq.report.markdown import code, paragraphs, prose, table
from ptdq.store.layout import RunFiles
from tests.report.test_markdown import NASTY
from tests.support.factory import Factory

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Seen(HTMLParser):
    """The elements of a page, and where they lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not [name for name, _ in attrs if name.startswith("on")]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    made = Factory(tmp_path_factory.mktemp("runs") / "run-1").write()
    build_report(made)
    return made


def test_the_page_has_all_of_the_report(files: RunFiles) -> None:
    text = files.page.read_text(encoding="utf-8")
    seen = Seen(text)
    headings = re.findall(r"^## (.+)$", files.report.read_text(encoding="utf-8"), re.MULTILINE)
    assert seen.tags.count("h2") == len(headings)
    assert seen.tags.count("img") == len([*files.plot("").parent.iterdir()]) > 0
    assert seen.tags.count("script") == 1
    assert [link for link in seen.links if not link.startswith("data:image/png;base64,")] == []
    assert "http://" not in text
    assert "https://" not in text


@pytest.mark.parametrize("text", NASTY)
def test_no_data_becomes_markup(text: str) -> None:
    rows = table(["variant"], [[prose(text)], [code(text)]])
    plain = page("t", paragraphs(prose("x"), code("x"), table(["variant"], [["x"], ["x"]])))
    assert Seen(page(text, paragraphs(prose(text), code(text), rows))).tags.count("script") == 1
    tags = set(Seen(page(text, paragraphs(prose(text), code(text), rows))).tags)
    assert tags <= {*Seen(plain).tags, "code"}


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
def test_a_browser_shows_it_and_sorts(files: RunFiles, tmp_path: Path) -> None:
    # The page as it is: its own script runs under its policy, and nothing is refused.
    frame = '<div class="wide"><table>'
    shown = browser(files.page, tmp_path, "--dump-dom")
    assert shown.count(frame) == files.page.read_text(encoding="utf-8").count("<table>") > 3
    # A copy whose first table of figures is sorted by a click on its third column, twice.
    text = files.page.read_text(encoding="utf-8")
    text = re.sub(r"<meta http-equiv=.*>\n", "", text)
    click = "const t = [...document.querySelectorAll('table')].find(t => t.rows.length > 4);"
    for name, times in (("up", 1), ("down", 2)):
        copy = tmp_path / f"{name}.html"
        clicks = click + "t.tHead.rows[0].cells[2].firstChild.click();" * times
        clicks += "document.title = [...t.tBodies[0].rows].map(r => r.cells[2].textContent).join(' ');"
        copy.write_text(text.replace("</body>", f"<script>{clicks}</script></body>"), encoding="utf-8")
        title = re.search("<title>(.*)</title>", browser(copy, tmp_path, "--dump-dom"))
        assert title is not None
        values = [float(value.replace(",", "")) for value in title[1].split()]
        assert len(values) > 3
        assert values == sorted(values, reverse=name == "down")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
def test_it_fits_a_narrow_window(files: RunFiles, tmp_path: Path) -> None:
    text = re.sub(r"<meta http-equiv=.*>\n", "", files.page.read_text(encoding="utf-8"))
    measure = "<script>document.title = document.documentElement.scrollWidth;</script></body>"
    copy = tmp_path / "narrow.html"
    copy.write_text(text.replace("</body>", measure), encoding="utf-8")
    # Chromium makes no window narrower than 500; what is wider scrolls within its frame.
    shown = browser(copy, tmp_path, "--dump-dom", "--window-size=500,800")
    assert int(shown.partition("<title>")[2].partition("<")[0]) <= 500


def browser(path: Path, scratch: Path, *options: str) -> str:
    """What chromium says of a page, without any network."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={scratch}/profile",
         "--proxy-server=127.0.0.1:9", *options, path.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
