"""What one comparison with the baseline says for a verdict: against the variant, or not decided."""

from __future__ import annotations

from dataclasses import dataclass

from ptdq.analysis.gates import Question, Row, Tables, class_changes, class_name
from ptdq.statistics.multiplicity import ALPHA


@dataclass(frozen=True)
class Findings:
    """What speaks against a variant, and what is not decided, one sentence each."""

    against: list[str]
    open: list[str]


def timing(tables: Tables, row: Row) -> Findings:
    """What the times of a comparison with the baseline say; in doubt they say nothing."""
    doubt = tables.timing_doubt(row)
    if doubt:
        return Findings([], [doubt])
    at, against = f"at {row['max_length']} tokens", []
    if row["latency_verdict"] == "slower":
        against.append(f"{at} it is slower: {speedup_text(row)}")
    if row["p95_verdict"] == "slower":
        against.append(f"{at} its p95 is slower: {speedup_text(row, 'speedup_p95')}")
    key = ("baseline", "variant", "max_length")
    for bucket in tables.buckets:
        if all(bucket[k] == row[k] for k in key) and bucket["latency_verdict"] == "slower":
            tokens = f"{bucket['tokens_from']} to {bucket['tokens_to']}"
            slow = speedup_text(bucket, "speedup")
            against.append(f"{at} it is slower for documents of {tokens} tokens: {slow}")
    if row["latency_verdict"] in ("faster", "slower", "the same"):
        return Findings(against, [])
    text = f"{at} no difference in the time per document can be told: {speedup_text(row)}"
    if row["speedup_total_low"] is None and row.get("speedup_total_refused"):
        text += f"; {row['speedup_total_refused']}"
    return Findings(against, [text])


def quality(question: Question, row: Row) -> Findings:
    """What the predictions of a comparison with the baseline say."""
    if not question.claim_quality:
        return Findings([], [])
    at = f"at {row['max_length']} tokens"
    unfit = misfit(row)
    if unfit:
        return Findings([], [f"{at} {unfit}"])
    against, still_open = [], []
    for change in class_changes(row):
        if change["lost"] > change["gained"] and change["p_holm"] <= ALPHA:
            against.append(
                f"{at} it loses recall of class {class_name(question, change['label'])}: from "
                f"{change['baseline']:.3f} to {change['variant']:.3f} in {change['support']} documents "
                f"(p {change['p_holm']:.2g}, corrected for variants, lengths and classes)"
            )
    if row["non_inferiority"] == "inferior":
        against.append(f"{at} it loses quality: {kept_text(row)}")
    elif row["non_inferiority"] != "non-inferior":
        text = f"{at} {row['documents']} documents do not decide the quality: {kept_text(row)}"
        if row.get("documents_needed"):
            text += f"; about {row['documents_needed']} documents would"
        still_open.append(text)
    return Findings(against, still_open)


def misfit(row: Row) -> str | None:
    """Why the baseline's predictions cannot be judged by these labels; None where they can."""
    p_value = row.get("chance_p")
    if p_value is None or p_value <= ALPHA:
        return None
    return (
        f"labels and model do not fit: the baseline is right for {row['baseline_accuracy']:.1%} of the "
        f"documents, which is no better than guessing (always the commonest class: "
        f"{row['majority_share']:.1%}); check the labels (--label-column, --label-map) and the checkpoint"
    )


def speedup_text(row: Row, name: str = "speedup_total") -> str:
    """``2.41x [2.30, 2.52]``, or that there is no interval."""
    if row[f"{name}_low"] is None:
        return f"{row[name]:.2f}x (no interval)"
    return f"{row[name]:.2f}x [{row[f'{name}_low']:.2f}, {row[f'{name}_high']:.2f}]"


def kept_text(row: Row) -> str:
    """Shares of the baseline's F1 that are kept, with their bounds."""
    if row["f1_ratio"] is None:
        return "not decidable"
    return (
        f"{row['f1_ratio']:.4f} of the baseline's weighted F1 (lower bound {row['f1_ratio_low']:.4f}), "
        f"{row['f1_macro_ratio']:.4f} of its macro F1 (lower bound {row['f1_macro_ratio_low']:.4f})"
    )
