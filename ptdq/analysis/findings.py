"""What one comparison with the baseline says for a verdict: against the variant, or not decided."""

from __future__ import annotations

from dataclasses import dataclass

from ptdq import numbers
from ptdq.analysis.gates import Tables, class_changes, class_name
from ptdq.analysis.question import Question
from ptdq.problem.task import MEASURES, OF_CLASSES, main_measure
from ptdq.statistics.multiplicity import ALPHA
from ptdq.store.rows import BucketRow, ComparisonRow


@dataclass(frozen=True)
class Findings:
    """What speaks against a variant, and what is not decided, one sentence each."""

    against: list[str]
    open: list[str]


def timing(tables: Tables, row: ComparisonRow) -> Findings:
    """What the times of a comparison with the baseline say; in doubt they say nothing."""
    doubt = tables.timing_doubt(row)
    if doubt:
        return Findings([], [doubt])
    at, against = f"at {row['max_length']} tokens", []
    if row["total_verdict"] == "slower":
        against.append(f"{at} it is slower: {total_text(row)}")
    if row["p95_verdict"] == "slower":
        tail = ratio_text(row["speedup_p95"], row["speedup_p95_low"], row["speedup_p95_high"])
        against.append(f"{at} its p95 is slower: {tail}")
    for bucket in tables.buckets:
        if _same_pair(bucket, row) and bucket["latency_verdict"] == "slower":
            tokens = f"{bucket['tokens_from']} to {bucket['tokens_to']}"
            slow = ratio_text(bucket["speedup"], bucket["speedup_low"], bucket["speedup_high"])
            against.append(f"{at} it is slower for documents of {tokens} tokens: {slow}")
    if row["total_verdict"] in ("faster", "slower", "the same"):
        return Findings(against, [])
    text = f"{at} one can't tell whether the time per document differs: {total_text(row)}"
    if row["speedup_total_low"] is None and row["speedup_total_refused"]:
        text += f"; {row['speedup_total_refused']}"
    return Findings(against, [text])


def _same_pair(bucket: BucketRow, row: ComparisonRow) -> bool:
    return (bucket["baseline"], bucket["variant"], bucket["max_length"]) == (
        row["baseline"], row["variant"], row["max_length"],
    )  # fmt: skip


def quality(question: Question, row: ComparisonRow) -> Findings:
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
        against.append(f"{at} it loses quality: {kept_text(question, row)}")
    elif row["non_inferiority"] != "non-inferior":
        text = f"{at} {row['documents']} documents do not decide the quality: {kept_text(question, row)}"
        if row["documents_needed"]:
            text += f"; about {row['documents_needed']} documents would"
        still_open.append(text)
    return Findings(against, still_open)


def misfit(row: ComparisonRow) -> str | None:
    """Why the baseline's predictions cannot be judged by these labels; None where they can."""
    p_value = row["chance_p"]
    if p_value is None or p_value <= ALPHA:
        return None
    return (
        f"labels and model do not fit: the baseline is right for {row['baseline_accuracy']:.1%} of the "
        f"documents, which is no better than guessing (always the commonest class: "
        f"{row['majority_share']:.1%}); check the labels (--label-column, --label-map) and the checkpoint"
    )


def total_text(row: ComparisonRow) -> str:
    """The speed-up of the time per document."""
    return ratio_text(row["speedup_total"], row["speedup_total_low"], row["speedup_total_high"])


def ratio_text(ratio: float | None, low: float | None, high: float | None) -> str:
    """``2.41x [2.30, 2.52]``, or that there is no interval."""
    if ratio is None or low is None or high is None:
        return f"{numbers.ratio(ratio)} (no interval)"
    return f"{ratio:.2f}x [{low:.2f}, {high:.2f}]"


def kept_text(question: Question, row: ComparisonRow) -> str:
    """Shares of the baseline's quality that are kept, with their bounds."""
    if question.task not in OF_CLASSES:
        if row["main_ratio"] is None:
            return "not decidable"
        words = MEASURES[question.task][main_measure(question.task)].words
        return (
            f"{row['main_ratio']:.4f} of the baseline's {words} (lower bound {row['main_ratio_low']:.4f})"
        )
    if row["f1_ratio"] is None:
        return "not decidable"
    return (
        f"{row['f1_ratio']:.4f} of the baseline's weighted F1 (lower bound {row['f1_ratio_low']:.4f}), "
        f"{row['f1_macro_ratio']:.4f} of its macro F1 (lower bound {row['f1_macro_ratio_low']:.4f})"
    )
