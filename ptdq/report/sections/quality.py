"""What was predicted: scikit-learn's report, agreement, the documents on which variants differ."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import classification_report

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
    rows = _predictions(run, variant, length)
    if rows.empty:
        return []
    if not _unstable(rows):
        first = rows[rows["repeat"] == rows["repeat"].min()]
        return [("", classification_text(run, first))]
    cells = rows.groupby("repeat")
    return [(str(repeat), classification_text(run, cell)) for repeat, cell in cells]


def classification_text(run: Run, rows: pd.DataFrame) -> str:
    """scikit-learn's own text with four digits, of the predictions of one cell."""
    label, prediction = rows["label"].to_numpy(), rows["prediction"].to_numpy()
    classes = np.unique(np.concatenate([label, prediction]))
    names = [plain(run.class_name(int(c))) for c in classes]
    text = classification_report(
        label, prediction, labels=classes, target_names=names, digits=4, zero_division=0
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
        if wide.shape[1] > 1 and not wide.empty:
            parts += [
                f"### At most {length} tokens",
                _matrix(wide) if wide.shape[1] > 2 else "",
                _disagreements(page, wide, length),
            ]
    return paragraphs("## Agreement between the variants", *parts) if parts else ""


def _matrix(wide: pd.DataFrame) -> str:
    names = list(wide.columns)
    rows = []
    for one in names:
        shares = [
            percent(float((wide[one] == wide[other]).mean()), 2) if one != other else MISSING
            for other in names
        ]
        rows.append([code(one), *shares])
    return table(["same prediction", *(code(name) for name in names)], rows)


def _disagreements(page: Page, wide: pd.DataFrame, length: int) -> str:
    """Documents that not all variants put in the same class; the text is shown as data only."""
    run = page.run
    names = list(wide.columns)
    differ = wide[wide.ne(wide[names[0]], axis=0).any(axis=1)]
    same = f"{len(wide) - len(differ)} of {len(wide)} documents"
    if differ.empty:
        return f"All variants predict the same class for each of the {len(wide)} documents."
    documents = _predictions(run, names[0], length).drop_duplicates("doc_id")
    labels = documents.set_index("doc_id")["label"].reindex(differ.index).astype(int)
    # What the baseline gets right comes first: those are the documents that a change costs.
    order = (differ[names[0]] != labels).sort_values(kind="stable").index
    most = max(1, _LISTED // len(run.lengths))
    rows = []
    for doc_id in order[:most]:
        classes = [labels.loc[doc_id], *(differ.loc[doc_id, name] for name in names)]
        text = prose(run.texts.get(doc_id, ""), _EXCERPT) or MISSING
        rows.append([code(doc_id, 40), *(code(run.class_name(int(c))) for c in classes), text])
    headings = ["document", "label", *(code(name) for name in names), "text"]
    rest = len(differ) - len(rows)
    return paragraphs(
        f"The variants agree on {same} ({percent(1 - len(differ) / len(wide), 2)}) and differ on "
        f"{len(differ)}:",
        table(headings, rows, left=range(len(headings))),
        f"and {rest} more, in {page.file(run.files.table('predictions'))}." if rest else "",
    )


def _wide(run: Run, length: int) -> pd.DataFrame:
    """Documents × variants: class predicted in the first repeat that each variant has."""
    columns = {}
    for variant in run.measured_variants:
        rows = _predictions(run, variant, length)
        if not rows.empty:
            first = rows.drop_duplicates("doc_id").set_index("doc_id")["prediction"]
            columns[variant] = first
    return pd.DataFrame(columns).dropna().astype(int)


def _predictions(run: Run, variant: str, length: int) -> pd.DataFrame:
    frame = run.measured
    return frame[(frame["variant"] == variant) & (frame["max_length"] == length)]


def _unstable(rows: pd.DataFrame) -> int:
    """Documents with more than one predicted class."""
    return int((rows.groupby("doc_id")["prediction"].nunique() > 1).sum())
