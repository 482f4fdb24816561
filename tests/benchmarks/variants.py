"""``make bench-variants``: every variant on the bert-base shape, in one run, at three lengths.

The machine must be otherwise idle; half an hour on two cores, and preparation where it is not
cached. Weights are random unless ``MODEL`` names a checkpoint with weights: then quality is
compared as well.

    make bench-variants MODEL=path/to/shape DATA=path/to/test.csv

Without them, the shape is made here with the demo's tokenizer, and the documents are the demo's.
Writes ``tests/benchmarks/results/variants.json`` and prints a table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ptdq.analysis.tables import against_baseline, limits, side_by_side, sizes
from ptdq.demo.build import DemoFiles, make_demo
from ptdq.parameters import ALL
from ptdq.store.cache import cache_root
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from ptdq.store.run import Run, load
from tests.benchmarks.running import measured

RESULTS = Path(__file__).parent / "results" / "variants.json"
POSITIONS = 512


def main() -> None:
    """Run all variants, or those named, and write what was found."""
    parser = arguments(__doc__.splitlines()[0], RESULTS, documents=16)
    parser.add_argument("--results-dir", default=None, help="keep the run there")
    chosen = parser.parse_args()
    # Calls are long and vary little; the cells are what costs time.
    measure(chosen, [ALL], [128, 256, 384], results_dir=chosen.results_dir, load_wait=0)


def arguments(what: str, out: Path, documents: int) -> argparse.ArgumentParser:
    """What every benchmark of variants on a shape takes."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--model", help="checkpoint or shape (configuration and tokenizer)")
    parser.add_argument("--data", help="labelled documents")
    parser.add_argument("--calibration-data", help="documents to calibrate on, where there are weights")
    parser.add_argument("--variant", action="append", help="only these", default=[])
    parser.add_argument("--max-length", action="append", type=int, default=[])
    parser.add_argument("--documents", type=int, default=documents)
    parser.add_argument("--repeats", type=int, default=6)
    parser.add_argument("--out", type=Path, default=out, help="where the figures are written")
    return parser


def measure(
    chosen: argparse.Namespace,
    variants: Sequence[str],
    lengths: Sequence[int],
    results_dir: str | None = None,
    **others: Any,
) -> None:
    """Measure variants at lengths, unless others were chosen; writes the figures, prints a table."""
    with tempfile.TemporaryDirectory(prefix="ptdq-bench-") as scratch:
        model = chosen.model or str(base_shape(Path(scratch) / "bert-base"))
        files = measured(
            model=model,
            data=chosen.data or str(demo_files().data),
            calibration_data=chosen.calibration_data,
            random_weights=not list(Path(model).glob("*.safetensors")),
            variant=chosen.variant or list(variants),
            max_length=chosen.max_length or list(lengths),
            limit=chosen.documents,
            repeats=chosen.repeats,
            warmup=2,
            control_documents=0,
            results_dir=results_dir or str(Path(scratch) / "results"),
            **others,
        )
        found = collect(files)
    write_json(chosen.out, found)
    print(table(found))
    print(json.dumps({"written": str(chosen.out)}))


def demo_files() -> DemoFiles:
    """The embedded default, where runs of it have it as well."""
    return make_demo(cache_root() / "demo")


def base_shape(directory: Path) -> Path:
    """Configuration of bert-base, with the tokenizer and the classes of the demo."""
    from transformers import AutoConfig, AutoTokenizer, BertConfig

    demo = demo_files().model
    AutoTokenizer.from_pretrained(demo, model_max_length=POSITIONS).save_pretrained(directory)
    classes = AutoConfig.from_pretrained(demo).id2label
    BertConfig(
        vocab_size=21128, id2label=classes, label2id={name: index for index, name in classes.items()}
    ).save_pretrained(directory)
    return directory


def collect(files: RunFiles) -> dict[str, Any]:
    """Every figure of the table, with the machine."""
    run = load(files)
    record = read_json(files.record)
    return {
        "git_commit": record["git_commit"],
        "ended_at": record["ended_at"],
        "machine": record["machine"],
        "baseline": run.baseline,
        "limits": record["limits"],
        "skipped": record["skipped"],
        "versions": record["versions"],
        "model": record["model"] | {"name": Path(record["model"]["name"]).name},
        "data": record["data"] | {"path": Path(record["data"]["path"]).name},
        "calibration": record["calibration"],
        "repeats": record["parameters"]["repeats"],
        "rows": rows(run),
        "sizes": sizes(run),
    }


def rows(run: Run) -> list[dict[str, Any]]:
    """Median latency, speed-up as it is judged, and share of the int8 limit, by variant and length."""
    pairs = {(row["variant"], row["max_length"]): row for row in against_baseline(run)}
    shares = {(row["variant"], row["max_length"]): row["int8_share"] for row in limits(run)}
    found = []
    for row in side_by_side(run):
        pair = pairs.get((row["variant"], row["max_length"]), {})
        found.append(
            {
                "variant": row["variant"],
                "max_length": row["max_length"],
                "forward_p50_ms": row["forward_p50_ms"],
                "times_fastest": row["times_fastest"],
                "speedup": pair.get("speedup"),
                "speedup_low": pair.get("speedup_low"),
                "speedup_high": pair.get("speedup_high"),
                "noise_floor": pair.get("noise_floor"),
                "latency_verdict": pair.get("latency_verdict"),
                "confounded": pair.get("confounded"),
                "int8_limit_share": shares.get((row["variant"], row["max_length"])),
            }
        )
    return found


def table(found: dict[str, Any]) -> str:
    """The findings as Markdown, fastest first at the shortest length."""
    lengths = sorted({row["max_length"] for row in found["rows"]})
    shares = {row["variant"]: row for row in found["sizes"]}
    by_key = {(row["variant"], row["max_length"]): row for row in found["rows"]}
    names = sorted(shares, key=lambda name: by_key[name, lengths[0]]["forward_p50_ms"])
    lines = [
        f"| variant | MB | of {found['baseline']} | "
        + " | ".join(f"{n} tokens" for n in lengths)
        + " | of int8 limit |",
        "| --- " * (4 + len(lengths)) + "|",
    ]
    for name in names:
        size = shares[name]
        cells = [f"`{name}`", f"{size['artifact_mb']:.1f}", f"{size['artifact_share']:.2f}"]
        for length in lengths:
            row = by_key[name, length]
            ratio = "1x" if row["speedup"] is None else _ratio(row)
            cells.append(f"{row['forward_p50_ms']:.0f} ms, {ratio}")
        share = by_key[name, lengths[0]]["int8_limit_share"]
        cells.append("" if share is None else f"{share:.0%}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _ratio(row: dict[str, Any]) -> str:
    if row["speedup_low"] is None:
        return f"{row['speedup']:.2f}x (no interval)"
    return f"{row['speedup']:.2f}x [{row['speedup_low']:.2f}, {row['speedup_high']:.2f}]"


if __name__ == "__main__":
    main()
