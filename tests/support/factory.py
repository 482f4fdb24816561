"""A run made up with numpy: every table and run.json, as a real run would leave them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from ptdq.store.disk import write_json
from ptdq.store.layout import RunFiles
from ptdq.store.tables import make_table, write_table
from tests.support.record import record

CLASSES = ("体育", "健康", "军事", "教育", "汽车")
SPEED = {"fp32": 1.0, "int8-dynamic": 2.4, "int8-pt2e-static": 3.6, "onnx-int8-dynamic": 2.2}
MB = {"fp32": 409.2, "int8-dynamic": 152.6, "int8-pt2e-static": 104.0, "onnx-int8-dynamic": 102.5}
WARMUP = 3

Rows = list[dict[str, Any]]


@dataclass
class Factory:
    """Makes a run; attributes may be changed before :meth:`write`."""

    directory: Path
    variants: Sequence[str] = ("fp32", "int8-dynamic")
    lengths: Sequence[int] = (128, 256)
    repeats: int = 4
    documents: int = 60
    random_weights: bool = False
    synthetic: bool = False
    texts: Sequence[str] | None = None
    names: Sequence[str] = CLASSES
    seed: int = 0
    tables: dict[str, Rows] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.files = RunFiles(self.directory)
        self.variants, self.lengths, self.names = [*self.variants], [*self.lengths], [*self.names]
        self.rng = np.random.default_rng(self.seed)
        self.ids = [f"{i}-{i:08x}" for i in range(self.documents)]
        self.tokens = np.clip(self.rng.lognormal(5.2, 0.7, self.documents).astype(int), 12, 2000)
        self.labels = self.rng.integers(0, len(self.names), self.documents)
        self.tables["documents"] = self._documents()
        self._cells()
        self.tables["variants"] = [self._variant(name) for name in self.variants]
        self._pairs()
        self._beyond()
        self.record = record(self, self.synthetic)

    def write(self) -> RunFiles:
        for name, rows in self.tables.items():
            write_table(self.files.table(name), make_table(name, rows))
        write_json(self.files.record, self.record)
        return self.files

    @property
    def run_id(self) -> str:
        return self.files.run_id

    def _documents(self) -> Rows:
        texts = self.texts or [f"第{i}篇 document about things" for i in range(self.documents)]
        return [
            {"doc_id": i, "text": text, "label": int(label)}
            for i, text, label in zip(self.ids, cycle(texts), self.labels, strict=False)
        ]

    def _cells(self) -> None:
        self.tables |= {"predictions": [], "cells": [], "classes": []}
        orders = [self.rng.permutation(len(self.ids)) for _ in range(self.repeats)]
        wrong = {v: self.rng.random(len(self.ids)) < 0.05 for v in self.variants}
        for repeat, length, (place, variant) in product(
            range(self.repeats), self.lengths, enumerate(self.variants)
        ):
            key = {"run_id": self.run_id, "variant": variant, "max_length": length}
            key |= {"repeat": repeat, "core": (place + repeat) % 2, "order": repeat}
            rows = self._predictions(key, orders[repeat], wrong[variant])
            self.tables["predictions"] += rows
            measured = [row for row in rows if not row["warmup"]]
            self.tables["cells"].append(self._cell(key, measured))
            if not self.random_weights:
                self.tables["classes"] += self._class_rows(key, measured)

    def _predictions(self, key: dict[str, Any], order: Any, wrong: Any) -> Rows:
        length, speed = key["max_length"], SPEED.get(key["variant"], 1.5)
        rows: Rows = []
        for position, doc in enumerate([*order[:WARMUP], *order]):
            tokens = int(min(self.tokens[doc], length))
            warm = position < min(WARMUP, len(order))
            time = (1.25 * tokens + 0.0006 * tokens**2 + 4) / speed
            time *= self.rng.lognormal(0, 0.04) * (1.5 if warm else 1)
            time *= self.rng.choice([1, 1.6], p=[0.98, 0.02])
            label = int(self.labels[doc])
            prediction = (label + 1) % len(self.names) if wrong[doc] else label
            rows.append(
                {
                    **key,
                    "doc_id": self.ids[doc],
                    "position": position,
                    "batch": position,
                    "tokens": tokens,
                    "truncated": bool(self.tokens[doc] > length),
                    "label": label,
                    "prediction": prediction,
                    "logits": [0.1] * len(self.names),
                    "tokenize_ns": 400_000,
                    "forward_ns": int(time * 1e6),
                    "warmup": warm,
                }
            )
        return rows

    def _cell(self, key: dict[str, Any], rows: Rows) -> dict[str, Any]:
        forward = np.array([row["forward_ns"] for row in rows]) / 1e6
        total = forward + 0.4
        cell = {
            **key,
            "batch_size": 1,
            "status": "ok",
            "documents": len(rows),
            "warmup_documents": WARMUP,
            "documents_per_second": 1000 * len(rows) / total.sum(),
            "pinned": True,
            "flags": [],
        }
        for prefix, times in (("forward", forward), ("total", total)):
            cell[f"{prefix}_mean_ms"] = times.mean()
            cell[f"{prefix}_max_ms"] = times.max()
            for percent in (50, 90, 95, 99):
                cell[f"{prefix}_p{percent}_ms"] = np.percentile(times, percent)
        if not self.random_weights:
            y, p = [r["label"] for r in rows], [r["prediction"] for r in rows]
            cell["accuracy"] = accuracy_score(y, p)
            for average in ("macro", "weighted"):
                scores = precision_recall_fscore_support(y, p, average=average, zero_division=0)
                for name, value in zip(("precision", "recall", "f1"), scores, strict=False):
                    cell[f"{name}_{average}"] = value
        return cell

    def _class_rows(self, key: dict[str, Any], rows: Rows) -> Rows:
        y, p = [r["label"] for r in rows], [r["prediction"] for r in rows]
        ids = range(len(self.names))
        scores = precision_recall_fscore_support(y, p, labels=list(ids), zero_division=0)
        cell = {k: v for k, v in key.items() if k not in ("core", "order")}
        columns = ("precision", "recall", "f1", "support")
        return [
            {**cell, "class_id": c, "class_name": self.names[c]}
            | {n: s[c].item() for n, s in zip(columns, scores, strict=True)}
            for c in ids
        ]

    def _variant(self, name: str) -> dict[str, Any]:
        linear = [
            f"bert.encoder.layer.{i}.{part}"
            for i in range(12)
            for part in ("attention.self.query", "attention.self.key", "output.dense")
        ]
        size = int(MB.get(name, 120) * 1e6)
        return {
            "run_id": self.run_id,
            "variant": name,
            "digest": "ab" * 32,
            "artifact_bytes": size,
            "state_dict_bytes": size + 28_000,
            "converted": [] if name == "fp32" else linear,
            "kept_float": ["bert.embeddings.word_embeddings", "bert.pooler.dense"],
            "engine": "x86",
            "prepare_seconds": 3.21,
            "cached": False,
            "details": "{}",
        }

    def _pairs(self) -> None:
        self.tables |= {"comparisons": [], "buckets": [], "interference": []}
        base = self.variants[0]
        for length, variant in product(self.lengths, self.variants):
            median = self._median(variant, length)
            key = {"run_id": self.run_id, "variant": variant, "max_length": length}
            self.tables["interference"].append(
                {
                    **key,
                    "documents": 20,
                    "solo_p50_ms": median / 1.07,
                    "parallel_p50_ms": median,
                    "slowdown": 1.07,
                }
            )
            if variant != base:
                self.tables["comparisons"].append(self._comparison(key, base))
                self.tables["buckets"] += [
                    {**key, "baseline": base, "tokens_from": a, "tokens_to": b, "documents": 20}
                    | self._ratio("speedup", 2.0 + a / 100)
                    for a, b in ((1, 64), (65, length))
                ]

    def _comparison(self, key: dict[str, Any], base: str) -> dict[str, Any]:
        length, variant = key["max_length"], key["variant"]
        rounds = [
            self._median(base, length, r) / self._median(variant, length, r) for r in range(self.repeats)
        ]
        row = {
            **key,
            "baseline": base,
            "rounds": self.repeats,
            "documents": len(self.ids),
            **self._ratio("speedup", float(np.mean(rounds))),
            **self._ratio("speedup_p95", float(np.mean(rounds)) * 0.98),
            **self._ratio("speedup_total", float(np.mean(rounds)) * 0.99),
            "speedup_total_simultaneous_low": float(np.mean(rounds)) * 0.9,
            "speedup_total_simultaneous_high": float(np.mean(rounds)) * 1.02,
            "total_verdict": "faster",
            "speedup_total_df": 9.0,
            "documents_se": 0.0123,
            "rounds_se": 0.0234,
            "calls_se": 0.0111,
            "cores_se": 0.0,
            "cell_sd": 0.0345,
            "cores_sd": 0.0456,
            "noisier": False,
            "p95_ms": 91.0,
            "p95_ms_bound": 98.7 if self.repeats >= 4 else None,
            "p95_ms_refused": None if self.repeats >= 4 else "too few rounds",
            "round_speedups": rounds,
            "noise_floor": 1.04,
            "latency_verdict": "faster",
        }
        if not self.random_weights:
            row |= {
                "log_loss_baseline": 0.2111,
                "log_loss_difference": 0.0321,
                "log_loss_difference_low": 0.0123,
                "log_loss_difference_high": 0.0519,
                "brier_baseline": 0.1001,
                "brier_difference": 0.0042,
                "brier_difference_low": -0.0011,
                "brier_difference_high": 0.0095,
                "calibration_error_baseline": 0.021,
                "calibration_error": 0.034,
                "non_inferiority": "undecided",
                "documents_needed": 2400,
                "f1_ratio": 0.9973,
                "f1_ratio_low": 0.9831,
                "discordant_better": 2,
                "discordant_worse": 4,
                "mcnemar_p": 0.6875,
                "agreement": 0.9412,
                "kappa": 0.9264,
                "largest_logit_difference": 0.4321,
                "class_changes": json.dumps(
                    [
                        {"label": 0, "baseline": 0.96, "variant": 0.929, "p_holm": 0.012},
                        {"label": 1, "baseline": 0.96, "variant": 0.95, "p_holm": 0.8},
                    ]
                ),
            }
            for name in ("accuracy", "f1_macro", "f1_weighted"):
                row[f"{name}_difference"] = -0.0027
                row[f"{name}_difference_low"] = -0.0171
                row[f"{name}_difference_high"] = 0.0113
        return row

    def _beyond(self) -> None:
        """The fastest variant and the last one can't be told apart; first calls; calibration."""
        self.tables |= {"best": [], "first_calls": [], "calibration": []}
        for length, variant in product(self.lengths, self.variants):
            key = {"run_id": self.run_id, "variant": variant, "max_length": length}
            first = variant == max(self.variants, key=lambda name: SPEED.get(name, 1.5))
            if first or variant == self.variants[-1]:
                won = {"speedup": 3.21, "speedup_low": 3.1, "speedup_high": 3.3} if first else {}
                row = {**key, "measure": "speedup_total", "fastest": first, **won}
                self.tables["best"].append(row)
            times = {"first_ms": 150.0, "later_ms": 101.0, "extra_ms": 48.9, "process_ms": 777.0}
            self.tables["first_calls"].append({**key, "calls": 40, **times})
            if not self.random_weights:
                self.tables["calibration"] += [
                    {**key, "confidence": c, "accuracy": c - 0.02, "documents": -(-len(self.ids) // 2)}
                    for c in (0.55, 0.95)
                ]

    def _ratio(self, name: str, point: float) -> dict[str, float | None]:
        enough = self.repeats >= 4
        return {
            name: point,
            f"{name}_low": point * 0.97 if enough else None,
            f"{name}_high": point * 1.03 if enough else None,
        }

    def _median(self, variant: str, length: int, repeat: int | None = None) -> float:
        values = [
            cell["forward_p50_ms"]
            for cell in self.tables["cells"]
            if (cell["variant"], cell["max_length"]) == (variant, length)
            and repeat in (None, cell["repeat"])
        ]
        return float(np.median(values))
