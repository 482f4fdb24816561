"""``make bench-growth``: what more documents cost, from a hundred to a million.

A tiny model with random weights is run through the whole flow, fp32 against int8-dynamic, on files of
each size, in batches of 32; each run is a fresh process, whose peak memory is the parent's. A model so
small is the hard case: a real one makes evaluation longer, and leaves the rest as it is.

Up to 100,000 documents there are four rounds, as usual; above, one. Then ``ptdq evaluate`` takes the
largest file in shards, on two Dask workers.
Writes ``tests/benchmarks/results/growth.json`` and prints a table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ptdq.host import machine
from ptdq.host.facts import machine_facts
from ptdq.host.software import git_commit
from ptdq.store.disk import read_json, write_json
from ptdq.store.record_file import now

RESULTS = Path(__file__).parent / "results" / "growth.json"
SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
MOST_WITH_ROUNDS = 100_000
LENGTH = 32
BATCH = 32
SHARD = 20_000
WORKERS = 2
LARGE_CSV = 200_000_000
"""Bytes."""
CHARACTERS = "球队今晚比赛胜负难料医生建议多走少坐新车油耗更低学校放假部队演习"
CLASSES = ("sport", "health", "cars")


def main() -> None:
    """Run all sizes, or those named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, action="append", help="documents; may be repeated")
    parser.add_argument("--shards-only", action="store_true", help="keep the rows that are there")
    parser.add_argument("--one", type=Path, help="run the parameters of this file, and no more")
    chosen = parser.parse_args()
    if chosen.one is not None:
        one(chosen.one)
        return
    found: dict[str, Any] = {
        "started_at": now(),
        "git_commit": git_commit(),
        "machine": machine_facts(machine.usable_cores()).model_dump(),
        "rows": [],
    }
    if chosen.shards_only:
        found = read_json(RESULTS)
    with tempfile.TemporaryDirectory(prefix="ptdq-growth-") as scratch:
        make_model(Path(scratch) / "model")
        sizes = chosen.size or SIZES
        for size in [] if chosen.shards_only else sizes:
            found["rows"].append(measure(Path(scratch), size))
            # Kept as it grows: the last size takes longest.
            write_json(RESULTS, found | {"ended_at": now()})
        commit = git_commit() if chosen.shards_only else found["git_commit"]
        found["in_shards"] = {"git_commit": commit, **in_shards(Path(scratch), max(sizes))}
        write_json(RESULTS, found)
        found["of_a_large_csv"] = of_a_large_csv(Path(scratch))
        write_json(RESULTS, found)
    print(table(found))
    for name in ("in_shards", "of_a_large_csv"):
        print(json.dumps({name: found[name]}, indent=2))


def measure(scratch: Path, size: int) -> dict[str, Any]:
    """One run in a process of its own."""
    data = scratch / f"{size}.parquet"
    make_data(data, size)
    request = scratch / f"{size}.json"
    write_json(
        request,
        {
            "model": str(scratch / "model"),
            "data": str(data),
            "variant": ["fp32", "int8-dynamic"],
            "max_length": [LENGTH],
            "batch_size": BATCH,
            "repeats": 4 if size <= MOST_WITH_ROUNDS else 1,
            "control_documents": 0,
            "load_wait": 0,
            "results_dir": str(scratch / "results"),
            "run_id": f"documents-{size}",
        },
    )
    subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.growth", "--one", str(request)],
        check=True,
        stdout=sys.stderr,
    )
    return read_json(request.with_suffix(".found.json"))


def one(request: Path) -> None:
    """Run the flow here, and write what it cost."""
    from ptdq.host.machine import peak_rss_bytes
    from ptdq.parameters import make_parameters
    from ptdq.store.tables import read_table
    from tests.benchmarks.running import measured

    parameters = make_parameters(read_json(request))
    before = peak_rss_bytes()
    files = measured(**parameters.model_dump())
    seconds = read_json(files.record)["seconds"]
    cells = read_table(files.table("cells")).to_pylist()
    documents = pq.read_metadata(files.table("documents")).num_rows
    total = sum(seconds.values())
    write_json(
        request.with_suffix(".found.json"),
        {
            "documents": documents,
            "rounds": parameters.repeats,
            "rows": documents * len(cells),
            "seconds": seconds,
            "total_seconds": total,
            "after_seconds": seconds["aggregate"] + seconds["report"],
            "after_share": (seconds["aggregate"] + seconds["report"]) / total,
            "parent_imports_bytes": before,
            "parent_peak_bytes": peak_rss_bytes(),
            "worker_peak_bytes": max(cell["peak_rss_bytes"] for cell in cells),
            "predictions_bytes": files.table("predictions").stat().st_size,
        },
    )


def in_shards(scratch: Path, size: int) -> dict[str, Any]:
    """``ptdq evaluate`` as a user runs it, fp32, on a file of this size."""
    data = scratch / f"{size}.parquet"
    if not data.is_file():
        make_data(data, size)
    arguments = {
        "model": scratch / "model", "data": data, "variant": "fp32", "max-length": LENGTH,
        "batch-size": BATCH, "shard-documents": SHARD, "workers": WORKERS,
        "results-dir": scratch / "results", "run-id": "shards",
    }  # fmt: skip
    words = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
    started = time.monotonic()
    subprocess.run(
        [Path(sys.executable).with_name("ptdq"), "evaluate", *words], check=True, stdout=sys.stderr
    )
    seconds = time.monotonic() - started
    record = read_json(scratch / "results" / "shards" / "evaluation.json")
    kept = ("documents", "shards", "processes", "peak_rss_bytes")
    measured = {"seconds": seconds, "workers": WORKERS, **{name: record[name] for name in kept}}
    return measured | {"ended_at": now()}


def of_a_large_csv(scratch: Path) -> dict[str, Any]:
    """A run on a sample of a hundred documents of a CSV file of 200 MB: its cost to the parent."""
    data = scratch / "large.csv"
    with data.open("w", encoding="utf-8") as file:
        file.write("text,other,label\n")
        row, number = CHARACTERS[:12] + "," + "more " * 30 + ",", 0
        while file.tell() < LARGE_CSV:
            file.writelines(f"{number + n} {row}{CLASSES[n % 3]}\n" for n in range(1000))
            number += 1000
    request = scratch / "large.json"
    asked = {
        "model": str(scratch / "model"), "data": str(data), "limit": 100, "max_length": [LENGTH],
        "variant": ["fp32", "int8-dynamic"], "repeats": 1, "control_documents": 0, "load_wait": 0,
        "results_dir": str(scratch / "results"), "run_id": "large",
    }  # fmt: skip
    write_json(request, asked)
    subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.growth", "--one", str(request)],
        check=True,
        stdout=sys.stderr,
    )
    found = read_json(request.with_suffix(".found.json"))
    kept = ("documents", "parent_imports_bytes", "parent_peak_bytes", "seconds")
    return {"file_bytes": data.stat().st_size, "rows": number, **{name: found[name] for name in kept}}


def make_model(directory: Path) -> None:
    """A BERT of one layer of 32, with random weights that are saved as if trained."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(CHARACTERS))]
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=LENGTH,
        initializer_range=0.5,
        id2label=dict(enumerate(CLASSES)),
        label2id={name: index for index, name in enumerate(CLASSES)},
    )
    torch.manual_seed(0)
    BertForSequenceClassification(config).save_pretrained(directory)
    vocabulary = {word: index for index, word in enumerate(words)}
    BertTokenizer(vocab=vocabulary, model_max_length=LENGTH).save_pretrained(directory)


def make_data(path: Path, size: int) -> None:
    """Documents of 3 to 30 characters with labels by chance."""
    random = np.random.default_rng(size)
    letters = random.choice(list(CHARACTERS), 30 * size + 30)
    starts, lengths = random.integers(0, 30 * size, size), random.integers(3, 31, size)
    joined = "".join(letters)
    texts = [joined[s : s + n] for s, n in zip(starts.tolist(), lengths.tolist(), strict=True)]
    labels = pa.array(random.choice(CLASSES, size).tolist())
    pq.write_table(pa.table({"text": texts, "label": labels}), path)


def table(found: dict[str, Any]) -> str:
    """The findings as Markdown, for the README."""
    lines = [
        f"{found['machine']['cpu']}, {len(found['machine']['cores'])} cores, load before "
        f"{found['machine']['load_before']:.2f}, commit {found['git_commit']}",
        "",
        "| documents | rounds | total s | evaluate s | ms for a document and cell | aggregate + report | "
        "parent, peak MB | worker, peak MB |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in found["rows"]:
        seconds = row["seconds"]
        each = seconds["evaluate"] * len(found["machine"]["cores"]) / row["rows"] * 1000
        lines.append(
            f"| {row['documents']:,} | {row['rounds']} | {row['total_seconds']:.0f} "
            f"| {seconds['evaluate']:.0f} | {each:.2f} "
            f"| {row['after_seconds']:.1f} s, {row['after_share']:.1%} "
            f"| {row['parent_peak_bytes'] / 1e6:.0f} | {row['worker_peak_bytes'] / 1e6:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
    print(json.dumps({"written": str(RESULTS)}), file=sys.stderr)
