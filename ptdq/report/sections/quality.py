"""What was predicted: scikit-learn's report, agreement, the documents on which variants differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from sklearn.metrics import classification_report

from ptdq.analysis.arrays import Answers, Ints, read_answers
from ptdq.numbers import MISSING, percent
from ptdq.problem.task import OF_CLASSES
from ptdq.report.markdown import block, code, paragraphs, prose, table
from ptdq.report.sections.page import Page
from ptdq.store.run import Run
from ptdq.text import plain

_LISTED = 20
_EXCERPT = 80


def reports(page: Page) -> str:
    """scikit-learn's classification report for each variant and length."""
    run = page.run
    if not run.quality or run.task not in OF_CLASSES:
        return ""
    parts = []
    for length in run.lengths:
        for variant in run.measured_variants:
            texts = _reports(run, variant, length)
            if len(texts) > 1:
                parts.append(
                    f"**{code(variant)} is not deterministic at {length} tokens**: its repeats "
                    "predict different classes for the same documents, so each has its own report."
                )
            for repeats, text in texts:
                rounds = f", repeat {repeats}" if repeats else ""
                parts.append(f"{code(variant)}, at most {length} tokens{rounds}:")
                parts.append(block(text))
    return paragraphs("## Classification reports", *parts)


def _reports(run: Run, variant: str, length: int) -> list[tuple[str, str]]:
    """One report where all repeats predict the same, else one a repeat."""
    if run.answered is None:
        return []
    answers = read_answers(run.answered, variant, length, rounds=None)
    if answers is None:
        return []
    first = answers.predictions[0]
    if (answers.predictions == first).all():
        return [("", classification_text(run, answers.labels, first))]
    cells = run.answered.rounds(variant, length)
    return [
        (str(cell.repeat), classification_text(run, answers.labels, predictions))
        for cell, predictions in zip(cells, answers.predictions, strict=True)
    ]


def classification_text(run: Run, labels: Ints, predictions: Ints) -> str:
    """scikit-learn's own text with four digits, of classes [D] of one cell."""
    classes = np.union1d(labels, predictions)
    names = [plain(run.class_name(int(c))) for c in classes]
    text = classification_report(
        labels, predictions, labels=classes, target_names=names, digits=4, zero_division=0
    )
    return str(text)


def agreement(page: Page) -> str:
    """How often variants agree, and where not."""
    run = page.run
    if not run.quality or run.task not in OF_CLASSES or len(run.measured_variants) < 2:
        return ""
    parts = []
    for length in run.lengths:
        wide = _wide(run, length)
        if wide is not None:
            parts += [
                f"### At most {length} tokens",
                _matrix(wide) if len(wide.names) > 2 else "",
                _disagreements(page, wide, length),
            ]
    return paragraphs("## Agreement between the variants", *parts) if parts else ""


@dataclass(frozen=True)
class Wide:
    """What several variants predict for the documents that all of them have.

    Attributes:
        names: of the variants.
        doc_ids: ids [D].
        labels: true classes [D].
        predictions: of each variant [V, D], in the first repeat that it has.
    """

    names: list[str]
    doc_ids: pa.Array
    labels: Ints
    predictions: Ints


def _matrix(wide: Wide) -> str:
    rows = []
    for place, one in enumerate(wide.names):
        shares = [
            percent(float((wide.predictions[place] == other).mean()), 2)
            if other_place != place
            else MISSING
            for other_place, other in enumerate(wide.predictions)
        ]
        rows.append([code(one), *shares])
    return table(["same prediction", *(code(name) for name in wide.names)], rows)


def _disagreements(page: Page, wide: Wide, length: int) -> str:
    """Documents that not all variants put in the same class; the text is shown as data only."""
    run = page.run
    count, first = len(wide.labels), wide.predictions[0]
    differ = np.flatnonzero((wide.predictions != first).any(axis=0))
    same = f"{count - len(differ)} of {count} documents"
    if not len(differ):
        return f"All variants predict the same class for each of the {count} documents."
    # What the baseline gets right comes first: those are the documents that a change costs.
    order = differ[np.argsort(first[differ] != wide.labels[differ], kind="stable")]
    listed = order[: max(1, _LISTED // len(run.lengths))]
    ids = wide.doc_ids.take(pa.array(listed)).to_pylist()
    texts = run.texts(ids)
    rows = []
    for doc_id, place in zip(ids, listed, strict=True):
        classes = [wide.labels[place], *wide.predictions[:, place]]
        text = prose(texts.get(doc_id, ""), _EXCERPT) or MISSING
        rows.append([code(doc_id, 40), *(code(run.class_name(int(c))) for c in classes), text])
    headings = ["document", "label", *(code(name) for name in wide.names), "text"]
    rest = len(differ) - len(rows)
    return paragraphs(
        f"The variants agree on {same} ({percent(1 - len(differ) / count, 2)}) and differ on "
        f"{len(differ)}:",
        table(headings, rows, left=range(len(headings))),
        f"and {rest} more, in {page.file(run.files.table('predictions'))}." if rest else "",
    )


def _wide(run: Run, length: int) -> Wide | None:
    """The predictions of all variants at a length; None where fewer than two have any in common."""
    by_variant: dict[str, Answers] = {}
    if run.answered is None:
        return None
    for variant in run.measured_variants:
        if (answers := read_answers(run.answered, variant, length)) is not None:
            by_variant[variant] = answers
    if len(by_variant) < 2:
        return None
    first = next(iter(by_variant.values())).doc_ids
    if all(answers.doc_ids.equals(first) for answers in by_variant.values()):
        columns = [answers.predictions[0] for answers in by_variant.values()]
        return Wide(list(by_variant), first, next(iter(by_variant.values())).labels, np.stack(columns))
    kept = np.ones(len(first), bool)
    places = [pa.compute.index_in(first, value_set=answers.doc_ids) for answers in by_variant.values()]
    for each in places:
        kept &= each.is_valid().to_numpy(zero_copy_only=False)
    if not kept.any():
        return None
    columns = [
        answers.predictions[0][each.filter(pa.array(kept)).to_numpy()]
        for answers, each in zip(by_variant.values(), places, strict=True)
    ]
    labels = next(iter(by_variant.values())).labels[kept]
    return Wide(list(by_variant), first.filter(pa.array(kept)), labels, np.stack(columns))
