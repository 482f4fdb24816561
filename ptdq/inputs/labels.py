"""What the labels of a file mean: names of classes or ids, never a mixture of both."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ptdq.errors import UserError

_NUMBER = re.compile(r"\d+(\.0*)?", re.ASCII)
_TRUTH = {"false": 0, "true": 1}
_SHOWN = 20


def match_labels(
    name: str, labels: Mapping[str, int], class_names: Sequence[str], label_map: Mapping[str, int] | None
) -> dict[str, int]:
    """The class id of each label of a file.

    All labels are read in one way: by the label map if there is one; else as names of classes, as written
    or but for case and blanks; else as ids (``1``, ``1.0``); else, of two classes, as false and true.

    Args:
        name: of the file.
        labels: every label of the file, with a row where it is.
        class_names: of the model, by id.
        label_map: from label to class id.

    Raises:
        UserError: a label that the model does not know, or labels that can be read in two ways.
    """
    if label_map is not None:
        matched = _by_name(labels, label_map.items())
        unknown = [label for label in labels if not 0 <= matched.get(label, -1) < len(class_names)]
        if unknown:
            raise _unknown(name, labels, unknown[0], "the label map", list(label_map), len(class_names))
        return matched
    readings = {
        "names": _by_name(labels, [(known, index) for index, known in enumerate(class_names)]),
        "ids": {label: index for label in labels if (index := _as_id(label)) < len(class_names)},
    }
    if len(class_names) == 2 and not _TRUTH.keys() & {known.casefold() for known in class_names}:
        readings["no and yes"] = {
            label: _TRUTH[label.casefold()] for label in labels if label.casefold() in _TRUTH
        }
    whole = {words: matched for words, matched in readings.items() if len(matched) == len(labels)}
    if not whole:
        known = {label for reading in readings.values() for label in reading}
        best = max(readings.values(), key=len)
        odd = next(label for label in labels if label not in (best if known >= set(labels) else known))
        error = _unknown(name, labels, odd, "the model", class_names, len(class_names))
        if known >= set(labels):
            raise UserError(f"{error}. Others of its labels are: names and ids are not mixed")
        raise error
    matched = next(iter(whole.values()))
    if differing := [other for other in whole.values() if other != matched]:
        label, index = next(pair for pair in differing[0].items() if pair not in matched.items())
        raise UserError(
            f"{name}: label '{label}' in row {labels[label]} can be the class of that name, or the "
            f"class with that id, '{class_names[index]}'; say which by a JSON file, --label-map, "
            f"{_example(labels, matched)}"
        )
    return matched


def _as_id(label: str) -> int:
    """A number that is no id of any model where the label is no whole number."""
    return int(label.split(".")[0]) if _NUMBER.fullmatch(label) and len(label) < 10 else 1 << 62


def _by_name(labels: Iterable[str], known: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Those that are names: as written; or, of one reading alone, but for case and blanks."""
    exact = dict(known)
    folded = Counter(_fold(other) for other in exact)
    loose = {_fold(other): index for other, index in exact.items() if folded[_fold(other)] == 1}
    indexes = {label: exact.get(label, loose.get(_fold(label), -1)) for label in labels}
    return {label: index for label, index in indexes.items() if index >= 0}


def _fold(label: str) -> str:
    """Without what a spreadsheet or another program changes: case, blanks, ``.0`` of a whole number."""
    short = " ".join(label.split()).casefold()
    return short.split(".")[0] if _NUMBER.fullmatch(short) else short


def _unknown(
    name: str, labels: Mapping[str, int], label: str, where: str, known: Sequence[str], classes: int
) -> UserError:
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return UserError(
        f"{name}: label '{label}' in row {labels[label]} is not known to {where}, which has "
        f"{', '.join(known[:_SHOWN])}{more} (ids 0 to {classes - 1}); a label map translates: "
        f"--label-map with a JSON file, {_example(labels, {})}"
    )


def _example(labels: Mapping[str, int], matched: Mapping[str, int]) -> str:
    """The beginning of a label map for these labels."""
    shown = list(labels)[:3]
    pairs = [
        f"{json.dumps(one, ensure_ascii=False)}: {matched.get(one, n)}" for n, one in enumerate(shown)
    ]
    return f"such as {{{', '.join(pairs)}{', …' if len(labels) > len(shown) else ''}}}"


def read_label_map(path: str | None) -> dict[str, int] | None:
    """A JSON object from label to class id.

    Raises:
        UserError: missing, not JSON, a label that is there twice, or values that are no whole numbers.
    """
    if path is None:
        return None
    try:
        pairs = json.loads(Path(path).read_text(encoding="utf-8"), object_pairs_hook=_Pairs)
    except OSError as error:
        raise UserError(f"label map {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"label map {path}: not valid JSON ({error})") from error
    if not isinstance(pairs, _Pairs) or not all(type(index) is int for _, index in pairs):
        raise UserError(f"label map {path}: expected an object from label to class id")
    twice = [label for label, count in Counter(label for label, _ in pairs).items() if count > 1]
    if twice:
        raise UserError(f"label map {path}: label '{twice[0]}' is there twice")
    return dict(pairs)


class _Pairs(list[tuple[str, int]]):
    """An object of JSON as it is written, with what is there twice."""
