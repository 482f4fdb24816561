"""``python -m tests.benchmarks.tails``: what padding to few lengths does for documents of many lengths.

Encoders of MiniLM's shape (six layers of 384) and bert-base's, random weights, documents of 23 to 256
tokens in a random order, every one called once, as a service meets them. Both ways are run in turn, each
in a process of its own pinned to one core: as the artifact is loaded (padded, kernels made at load), and
the same artifact with neither padding nor branches of fixed shapes. The machine must be otherwise idle.

Writes ``tests/benchmarks/results/tails.json``, variant by variant.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ptdq.demo.build import make_demo
from ptdq.host.facts import machine_facts
from ptdq.host.machine import pin, usable_cores
from ptdq.host.software import git_commit
from ptdq.inputs.calibration import CalibrationRequest
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.runtimes.padding import RULE
from ptdq.store.cache import cache_root
from ptdq.store.disk import read_json, write_json
from ptdq.store.record_file import now
from ptdq.variants import registry
from ptdq.variants.base import Settings
from ptdq.variants.engines import choose_engine
from ptdq.variants.preparation import Terms, prepare_variant

RESULTS = Path(__file__).parent / "results" / "tails.json"
SHORTEST, LONGEST = 23, 256
DOCUMENTS = 400
TUNE_MINUTES = 5
CLASSES = [str(number) for number in range(16)]
PADDED, PLAIN = "padded", "as they are"
SHAPES: dict[str, dict[str, int]] = {
    "MiniLM": {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536},
    "bert-base": {},
}
VARIANTS = {
    "MiniLM": ["int8-best", "openvino-int8-static", "int8-pt2e-static"],
    "bert-base": ["int8-best"],
}


def main() -> None:
    """Prepare the variants, call the documents both ways in turn, write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", action="append", choices=SHAPES, default=[], help="only these")
    parser.add_argument("--variant", action="append", default=[], help="only these")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument(
        "--child", nargs=3, metavar=("VARIANT", "ARTIFACT", "SEED"), help=argparse.SUPPRESS
    )
    chosen = parser.parse_args()
    if chosen.child:
        variant, artifact, seed = chosen.child
        print(json.dumps(called(variant, Path(artifact), int(seed))))
        return
    found: dict[str, Any] = {
        "git_commit": git_commit(),
        "machine": machine_facts(usable_cores()[:1]).model_dump(),
        "documents": DOCUMENTS,
        "rounds": chosen.rounds,
        "rows": [],
    }
    with tempfile.TemporaryDirectory(prefix="ptdq-tails-") as scratch:
        for name in chosen.shape or SHAPES:
            directory = shape(Path(scratch) / name, name)
            for variant in chosen.variant or VARIANTS[name]:
                ways = both_ways(variant, directory, Path(scratch) / f"{name}-{variant}", chosen.rounds)
                found["rows"] += [{"shape": name, "variant": variant, **way} for way in ways]
                write_json(chosen.out, found | {"ended_at": now()})
    print(table(found))


def both_ways(variant: str, model: Path, scratch: Path, rounds: int) -> list[dict[str, Any]]:
    """Figures of a variant, padded and as it would be without."""
    from ptdq.runtimes.openvino_runtime import PRECISION  # for which OpenVINO is imported

    scratch.mkdir()
    checkpoint = open_checkpoint(str(model), labels=CLASSES, random_weights=True)
    calibration = CalibrationRequest(None, f"random {LONGEST}", "random token ids", LONGEST)
    settings = Settings(engine=choose_engine(None), tune_minutes=TUNE_MINUTES)
    log = scratch / "prepare.log"
    made = prepare_variant(variant, checkpoint, settings, calibration, log, Terms(3600)).artifact
    plain = scratch / "plain"
    plain.mkdir()
    for path in made.directory.iterdir():
        if path.name not in (RULE, PRECISION):
            (plain / path.name).symlink_to(path)
    if (options := made.directory / PRECISION).is_file():
        write_json(plain / PRECISION, {**read_json(options), "shapes": []})
    ways = {PADDED: made.directory, PLAIN: plain}
    figures: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for seed in range(rounds):
        for way, directory in sorted(ways.items(), reverse=seed % 2 == 1):
            figures[way].append(in_a_process(variant, directory, seed))
    return [{"way": way, **medians(rows)} for way, rows in figures.items()]


def table(found: dict[str, Any]) -> str:
    """The findings as Markdown."""
    lines = [
        "| shape, variant | inputs | median ms | p95 ms | mean ms | p95 over median, a token | load s |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in found["rows"]:
        told = [f"{row[name]:.2f}" for name in ("p50_ms", "p95_ms", "mean_ms")]
        told += [f"{row['per_token_p95_over_p50']:.2f}", f"{row['load_s']:.1f}"]
        lines.append(f"| {row['shape']}, `{row['variant']}` | {row['way']} | {' | '.join(told)} |")
    return "\n".join(lines)


def shape(directory: Path, name: str) -> Path:
    """Configuration of a shape with 16 classes, and the tokenizer of the demo."""
    from transformers import AutoTokenizer, BertConfig

    demo = make_demo(cache_root() / "demo").model
    AutoTokenizer.from_pretrained(demo, model_max_length=512).save_pretrained(directory)
    sizes: dict[str, Any] = {"vocab_size": 21128, "num_labels": 16, **SHAPES[name]}
    BertConfig(**sizes).save_pretrained(directory)
    return directory


def in_a_process(variant: str, directory: Path, seed: int) -> dict[str, float]:
    """Figures of one pass over the documents."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.tails",
        "--child",
        variant,
        str(directory),
        str(seed),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def called(name: str, artifact: Path, seed: int) -> dict[str, float]:
    """Milliseconds of the calls of all documents, in a random order, none of them called before."""
    pin(usable_cores()[0])
    variant = registry.get(name)
    settings = Settings(engine="x86")
    if variant.uses_torch:
        import torch

        torch.set_num_threads(1)
    began = time.perf_counter()
    predict: Any = variant.load(artifact, settings)
    if hasattr(predict, "warm"):
        predict.warm(1, LONGEST)
    loaded = time.perf_counter() - began
    random = np.random.default_rng(seed)
    # As of real texts: a log-normal with its middle at 80 tokens.
    lengths = np.clip(np.exp(random.normal(4.4, 0.6, DOCUMENTS)).astype(int), SHORTEST, LONGEST)
    times = []
    for tokens in lengths:
        ids = random.integers(200, 2000, (1, int(tokens)))
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": 0 * ids}
        start = time.perf_counter()
        predict(inputs)
        times.append(1e3 * (time.perf_counter() - start))
    per_token = np.array(times) / lengths
    return {
        "load_s": loaded,
        "p50_ms": float(np.median(times)),
        "p95_ms": float(np.quantile(times, 0.95)),
        "mean_ms": float(np.mean(times)),
        "per_token_p95_over_p50": float(np.quantile(per_token, 0.95) / np.median(per_token)),
    }


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """Of the rounds, figure by figure."""
    return {name: round(float(np.median([row[name] for row in rows])), 3) for name in rows[0]}


if __name__ == "__main__":
    main()
