"""The report of a made-up run: what it says, what it must not say, what it survives."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import classification_report

from ptdq.errors import UserError
from ptdq.report import Report, build_report, figure_rows, show
from ptdq.store.disk import write_json
from ptdq.store.layout import RunFiles
from ptdq.store.run import load
from ptdq.store.schema import SCHEMA_VERSION
from tests.support.factory import CLASSES, Factory

FOUR = ("fp32", "int8-dynamic", "int8-pt2e-static", "onnx-int8-dynamic")
QUALITY = re.compile(
    r"F1|accura|precision|recall|McNemar|kappa|agree|inferior|classification report|Brier|log-loss", re.I
)
LINK = re.compile(r"(?<!\\)!?\[[^\]]*\]\(([^)]*)\)")


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Factory:
    made = Factory(tmp_path_factory.mktemp("runs") / "run-1", FOUR)
    made.record["gates"] = [
        {"name": "min_speedup", "variant": "int8-dynamic", "threshold": 2.0, "value": 2.41, "bound": 2.33}
        | {"passed": True, "text": "at least twice as fast"}
    ]
    made.tables["cells"][3]["flags"] = ["steal time 4 %"]
    made.write()
    return made


@pytest.fixture(scope="module")
def report(factory: Factory) -> Report:
    return build_report(factory.files)


def section(report: Report, heading: str) -> str:
    """The text of one section."""
    _, _, rest = report.markdown.partition(f"\n## {heading}")
    assert rest, f"no section {heading}"
    return rest.split("\n## ")[0]


def test_verdict_comes_first(report: Report) -> None:
    lines = [line for line in report.markdown.splitlines() if line]
    assert lines[0] == "# Quantization benchmark `run-1`"
    assert lines[1] == "## Verdict: can't tell whether to ship `int8-dynamic`"
    assert lines[2] == "**int8-dynamic is 2.40x as fast at 128 tokens**"
    assert lines[3] == "- the interval of the loss reaches past the margin"


def test_sections_in_order(report: Report) -> None:
    assert re.findall(r"^## (.*)$", report.markdown, re.M)[1:] == [
        "What was asked",
        "Gates",
        "Comparison with `fp32`",
        "Which is fastest",
        "Figures",
        "Confidence",
        "By token count",
        "First calls",
        "Interference",
        "Where the uncertainty comes from",
        "The reference experiment's table",
        "Sizes",
        "Classification reports",
        "Agreement between the variants",
        "Share of the core's limit",
        "The variants side by side",
        "What was flagged",
        "Environment",
        "How to reproduce",
        "Files",
    ]


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        (
            "What was asked",
            ["a stratified sample of 495, from a file of 497 lines, separated by semicolons"],
        ),
        ("What was asked", ["`checkpoint`", "102,271,493", "`体育`", "truncated", "parallel"]),
        (
            "Gates",
            [
                "| `min_speedup` | `int8-dynamic` | 2 | 2.41 | 2.33 | passed | at least tw",
                "fails only where no variant passes all of its gates",
            ],
        ),
        ("Figures", ["409.2", "152.6", "plots/latency.png", "plots/tokens.png"]),
        (
            "Comparison",
            ["with tokenization, which decides", "95 % interval", "faster", "plots/ratios.png"],
        ),
        ("Comparison", ["-0.0027", "-0.0171, +0.0113", "0.688", "94.12 %", "undecided (about 2,400 doc"]),
        ("Comparison", ["recall of `体育` changed by -0.0310", "Holm-corrected p 0.012"]),
        ("Comparison", ["### The tail", "| `int8-dynamic` | 128 | 91.00 | 98.70 |"]),
        (
            "Which is fastest",
            [
                "| the fastest |",
                "| `onnx-int8-dynamic` | 128 | 2.",
                "| can't be told from it |",
                "| `fp32` | 128 | 1.00x | – | slower |",
                "came out first of 2",
                "expect 3.21x",
            ],
        ),
        (
            "Confidence",
            [
                "+0.0321",
                "+0.0123, +0.0519",
                "0.2111",
                "+0.0042",
                "2.1 % to 3.4 %",
                "plots/reliability.png",
            ],
        ),
        ("First calls", ["| 150.0 | 101.0 | 48.90 | 777.0 |", "in no other figure"]),
        ("Where the", ["| 1.23 % | 2.34 % | 3.45 % | 4.56 % | 9 | pooled |"]),
        ("The reference", ["`fp32` mean ms", "`int8-dynamic` weighted F1", "| mean |"]),
        ("Interference", ["1.07x", "neighbour idle ms", "parallel", "one round, 20 documents"]),
        ("By token count", ["| 65 to 128 | 20 | 2.65x |"]),
        ("Sizes", ["0.3729", "`bert.encoder.layer.*.attention.self.query` ×12"]),
        ("Share", ["float32 139 GFLOP/s, int8 558 GOP/s", "of int8 limit"]),
        ("The variants side by side", ["plots/pareto.png", "unbeaten", "1.00x", "0.0167 of F1"]),
        ("What was flagged", ["steal time 4 %", "1 of 32 cells", "plots/course.png"]),
        ("Environment", ["`Imaginary CPU @ 2.80GHz`", "`avx512_vnni`", "torch 2.13.0", "evaluate"]),
        ("How to reproduce", ["ptdq run --model checkpoint", "git checkout c0ffee"]),
        ("Files", ["[predictions.parquet](predictions.parquet)", "[run.json](run.json)"]),
    ],
)
def test_section_says(report: Report, heading: str, words: list[str]) -> None:
    text = section(report, heading)
    for word in words:
        assert word in text, f"{heading}: {word}"


def test_figures_are_those_of_the_cells(factory: Factory, report: Report) -> None:
    rows = figure_rows(factory.files)
    cells = [
        cell
        for cell in factory.tables["cells"]
        if (cell["variant"], cell["max_length"]) == ("int8-dynamic", 256)
    ]
    (row,) = [r for r in rows if (r["variant"], r["max_length"]) == ("int8-dynamic", 256)]
    assert row["forward_p50_ms"] == pytest.approx(np.median([c["forward_p50_ms"] for c in cells]))
    assert row["total_mean_ms"] == pytest.approx(np.mean([c["total_mean_ms"] for c in cells]))
    assert row["f1_weighted"] == pytest.approx(cells[0]["f1_weighted"])
    assert f"{cells[0]['f1_weighted']:.4f}" in section(report, "Figures")


def test_reference_table_has_every_cell(factory: Factory, report: Report) -> None:
    text = section(report, "The reference")
    for cell in factory.tables["cells"]:
        ms = cell["total_mean_ms"]
        assert f" {ms:.1f} " in text or f" {ms:.2f} " in text
        assert f"{cell['f1_weighted']:.4f}" in text


def test_classification_report_is_scikit_learns(factory: Factory, report: Report) -> None:
    text = section(report, "Classification reports")
    for variant in FOUR:
        rows = [
            row
            for row in factory.tables["predictions"]
            if (row["variant"], row["max_length"], row["repeat"]) == (variant, 128, 0)
            and not row["warmup"]
        ]
        labels, predictions = [r["label"] for r in rows], [r["prediction"] for r in rows]
        expected = classification_report(labels, predictions, target_names=CLASSES, digits=4)
        assert expected.rstrip() in text


def test_plots_are_small_images(report: Report) -> None:
    names = [path.stem for path in report.plots]
    assert names == ["latency", "tokens", "ratios", "pareto", "reliability", "course"]
    for path in report.plots:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size < 150_000


def test_links_lead_to_files(report: Report) -> None:
    links = LINK.findall(report.markdown)
    assert links
    for link in links:
        assert (report.path.parent / link).is_file(), link


def test_inlined_stands_alone(report: Report) -> None:
    links = LINK.findall(report.markdown_inlined)
    assert len(links) == len(report.plots)
    assert all(link.startswith("data:image/png;base64,") for link in links)
    assert str(report.path.parent) in report.markdown_inlined


def test_written_report_is_the_one_returned(report: Report) -> None:
    assert report.path.read_text(encoding="utf-8") == report.markdown
    assert "nan" not in re.sub(r"[a-z]nan|nan[a-z]", "", report.markdown.lower())
    assert "None" not in report.markdown


def test_built_again_is_the_same(factory: Factory, report: Report) -> None:
    assert build_report(factory.files).markdown_inlined == report.markdown_inlined


def test_random_weights_claim_no_quality(tmp_path: Path) -> None:
    files = Factory(tmp_path / "r", FOUR, [128], random_weights=True).write()
    report = build_report(files)
    assert "**Quality is not claimed**: the weights of the model are random" in report.markdown
    assert QUALITY.findall(report.markdown) == []
    assert "152.6" in report.markdown
    assert any(path.stem == "pareto" for path in report.plots)
    assert not {key for row in figure_rows(files) for key in row if QUALITY.search(key)}
    assert QUALITY.findall(shown(files)) == []


def test_synthetic_corpus_is_said(tmp_path: Path, report: Report) -> None:
    made = build_report(Factory(tmp_path / "r", lengths=[128], repeats=1, synthetic=True).write())
    assert "**The corpus is synthetic**" in made.markdown
    assert "synthetic" not in report.markdown


def test_record_is_shown(tmp_path: Path) -> None:
    made = Factory(tmp_path / "r", lengths=[128], repeats=1, documents=12)
    made.record |= {
        "skipped": {"onnx-fp32": "pip install ptdq[onnx]"},
        "notes": ["int8-dynamic is not the same twice"],
        "git_commit": "c0ffee-dirty",
        "calibration": "no variant calibrates",
    }
    report = build_report(made.write())
    asked = section(report, "What was asked")
    assert r"**not run**: `onnx-fp32`: pip install ptdq\[onnx\]" in asked
    assert "no variant calibrates" in asked
    assert "- int8-dynamic is not the same twice" in section(report, "What was flagged")
    again = section(report, "How to reproduce")
    assert "git checkout c0ffee\n" in again
    assert "not committed" in again


def test_few_rounds_have_no_interval(tmp_path: Path) -> None:
    report = build_report(Factory(tmp_path / "r", lengths=[128], repeats=1).write())
    assert "no interval: fewer than 4 rounds" in section(report, "Comparison")


def test_failed_cell_is_listed_with_its_log(tmp_path: Path) -> None:
    made = Factory(tmp_path / "r", repeats=2)
    (cell,) = [
        row
        for row in made.tables["cells"]
        if (row["variant"], row["max_length"], row["repeat"]) == ("int8-dynamic", 256, 1)
    ]
    kept = {k: cell[k] for k in ("run_id", "variant", "max_length", "repeat", "core", "order")}
    made.tables["cells"].remove(cell)
    made.tables["cells"].append({**kept, "status": "failed", "error": "killed by signal 9 <b>"})
    files = made.write()
    files.logs.mkdir()
    (files.logs / "int8-dynamic-256-1.log").write_text("out of memory")
    report = build_report(files)
    assert (
        "`int8-dynamic`, length 256, repeat 1: killed by signal 9 &lt;b&gt;; "
        "log: [logs/int8-dynamic-256-1.log](logs/int8-dynamic-256-1.log)"
    ) in report.markdown
    assert "killed by signal 9 <b>" in shown(files)


def test_unstable_predictions_are_reported_a_repeat(tmp_path: Path) -> None:
    made = Factory(tmp_path / "r", lengths=(128,), repeats=2)
    row = next(
        r
        for r in made.tables["predictions"]
        if r["variant"] == "int8-dynamic" and r["repeat"] == 1 and not r["warmup"]
    )
    row["prediction"] = (row["prediction"] + 1) % len(CLASSES)
    report = build_report(made.write())
    text = section(report, "Classification reports")
    assert "**`int8-dynamic` is not deterministic at 128 tokens**" in text
    assert "**`fp32` is not" not in text
    assert "`int8-dynamic`, at most 128 tokens, repeat 1:" in text
    assert "`fp32`, at most 128 tokens:" in text


def test_disagreements_are_counted_shortened_and_inert(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script> | `x` ![i](http://evil.example/i.png)\n# heading " + "长" * 200
    made = Factory(tmp_path / "r", lengths=(128,), repeats=1, documents=400, texts=[bad])
    report = build_report(made.write())
    text = section(report, "Agreement")
    found = re.search(r"agree on (\d+) of 400 documents .* differ on (\d+):", text)
    assert found
    assert int(found[1]) + int(found[2]) == 400
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == 20
    assert f"and {int(found[2]) - 20} more" in text
    assert "<script>" not in report.markdown
    assert "\n# heading" not in report.markdown
    assert "长" * 80 not in report.markdown
    assert len(LINK.findall(report.markdown_inlined)) == len(report.plots)


def test_names_from_the_user_are_inert(tmp_path: Path) -> None:
    made = Factory(tmp_path / "r", names=["a|b", "`c`", "<img src=x>", "```", "[x](y)"], repeats=1)
    made.record["command"] = "ptdq run --model '```\n# x'"
    made.record["model"]["name"] = made.record["data"]["path"] = "![x](http://evil.example/p.png)"
    made.record["verdict"]["reasons"] = ["<b>bold</b> http://evil.example"]
    report = build_report(made.write())
    assert "`![x](http://evil.example/p.png)`" in report.markdown
    assert "- &lt;b&gt;bold&lt;/b&gt; `http://evil.example`" in report.markdown
    assert "````sh\ngit checkout" in report.markdown


@pytest.mark.parametrize(
    "missing",
    [
        "comparisons",
        "buckets",
        "best",
        "first_calls",
        "calibration",
        "interference",
        "documents",
        "variants",
        "predictions",
        "cells",
    ],
)
def test_survives_a_missing_or_empty_table(tmp_path: Path, missing: str) -> None:
    for name in ("gone", "empty"):
        made = Factory(tmp_path / name, lengths=[128], repeats=1, documents=12)
        if name == "gone":
            del made.tables[missing]
        else:
            made.tables[missing] = []
        files = made.write()
        report = build_report(files)
        assert "## Verdict: can't tell" in report.markdown
        assert shown(files)


def test_survives_a_bare_record(tmp_path: Path) -> None:
    made = Factory(tmp_path / "r", lengths=[128], repeats=1, documents=12)
    made.record = {"schema_version": SCHEMA_VERSION}
    report = build_report(made.write())
    assert "## Verdict: none reached" in report.markdown
    assert "## Figures" in report.markdown


def test_survives_one_variant_and_one_document(tmp_path: Path) -> None:
    report = build_report(Factory(tmp_path / "r", ["fp32"], [128], 1, documents=1).write())
    assert "## Comparison" not in report.markdown
    assert "## Agreement" not in report.markdown


def test_batches_are_counted_as_calls(tmp_path: Path) -> None:
    made = Factory(tmp_path / "r", repeats=1, documents=21)
    for row in made.tables["predictions"]:
        row["batch"] = row["position"] // 4 + (100 if row["warmup"] else 0)
        row["forward_ns"] = 10**8
    run = load(made.write())
    build_report(run.files)
    assert set(run.calls["documents"]) <= {1, 3, 4}
    assert len(run.calls) < len(made.tables["predictions"]) / 3


def test_newer_schema_is_refused(tmp_path: Path) -> None:
    made = Factory(tmp_path / "r", lengths=[128], repeats=1, documents=12)
    files = made.write()
    write_json(files.record, {**made.record, "schema_version": SCHEMA_VERSION + 1})
    with pytest.raises(UserError, match="newer"):
        build_report(files)


def test_terminal_shows_the_figures(factory: Factory) -> None:
    text = shown(factory.files)
    for word in ("can't tell", "int8-pt2e-static", "152.6", "2.40x", "undecided", "at 128 tokens"):
        assert word in text
    said = "fastest at 128 tokens, by time per document: int8-pt2e-static; can't be told from it: onnx-"
    assert said in text


def test_a_narrow_terminal_leaves_columns_out_and_breaks_no_word(factory: Factory) -> None:
    wide, narrow = shown(factory.files), shown(factory.files, width=80)
    assert max(map(len, narrow.splitlines())) <= 80
    assert "McNemar" in wide
    assert "McNemar" not in narrow
    for word in ("int8-pt2e-static", "onnx-int8-dynamic", "152.6", "undecided"):
        assert word in narrow


def shown(files: RunFiles, width: int = 220) -> str:
    text = StringIO()
    show(files, Console(file=text, width=width))
    return text.getvalue()


def test_limits_of_an_earlier_run_are_said_to_be(tmp_path: Path) -> None:
    made = Factory(tmp_path / "own")
    assert "one core, measured in this run: " in build_report(made.write()).markdown
    made = Factory(tmp_path / "taken")
    made.record["limits"] |= {"measured_before": "2026-12-01T08:38:39+00:00 <b>"}
    text = build_report(made.write()).markdown
    assert "one core, measured by an earlier run at 2026-12-01T08:38:39+00:00 &lt;b&gt;: " in text
