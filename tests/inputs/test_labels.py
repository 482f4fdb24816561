"""What labels mean, against a slow reader that tries each way on all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from ptdq.errors import UserError
from ptdq.inputs.labels import match_labels

words = st.sampled_from(
    ["a", "A", "b", "B b", "b  b", "0", "1", "2", "3", "1.0", "2.", "01", "true", "False", "x"]
)
names = st.lists(
    st.sampled_from(["a", "A", "b b", "c", "0", "1", "2", "3", "True", "false"]),
    min_size=2,
    max_size=4,
    unique=True,
)


def number(label: str) -> int | None:
    whole, _, rest = label.partition(".")
    return int(whole) if whole.isdigit() and not rest.strip("0") else None


def slow(labels: Sequence[str], classes: Sequence[str]) -> dict[str, int] | None:
    """The one way in which all labels can be read; None where there is none, or several differ."""

    def as_name(label: str) -> int | None:
        if label in classes:
            return classes.index(label)
        alike = [index for index, known in enumerate(classes) if alike_names(label, known)]
        return alike[0] if len(alike) == 1 else None

    def as_id(label: str) -> int | None:
        found = number(label)
        return found if found is not None and found < len(classes) else None

    def as_truth(label: str) -> int | None:
        named = {"true", "false"} & {known.lower() for known in classes}
        return {"false": 0, "true": 1}.get(label.lower()) if len(classes) == 2 and not named else None

    ways: list[Callable[[str], int | None]] = [as_name, as_id, as_truth]
    found = [{label: way(label) for label in labels} for way in ways]
    whole = [reading for reading in found if None not in reading.values()]
    if not whole or any(reading != whole[0] for reading in whole):
        return None
    return {label: index for label, index in whole[0].items() if index is not None}


def alike_names(label: str, known: str) -> bool:
    one, other = number(label), number(known)
    if one is not None or other is not None:
        return label.partition(".")[0] == known.partition(".")[0] and one == other
    return label.lower().split() == known.lower().split()


@given(labels=st.lists(words, min_size=1, max_size=4, unique=True), classes=names)
def test_all_labels_are_read_in_the_one_way_there_is(labels: list[str], classes: list[str]) -> None:
    rows = {label: row for row, label in enumerate(labels, 1)}
    found, said = None, ""
    try:
        found = match_labels("file", rows, classes, None)
    except UserError as error:
        said = str(error)
    assert found == slow(labels, classes)
    if found is None:
        assert said.startswith("file: label")
        assert "--label-map" in said
        assert len(said.splitlines()) == 1


@given(
    labels=st.lists(words, min_size=1, max_size=4, unique=True),
    known=st.lists(words, min_size=1, unique=True),
)
def test_a_label_map_is_the_only_way_where_there_is_one(labels: list[str], known: list[str]) -> None:
    label_map = {label: index % 3 for index, label in enumerate(known)}
    try:
        found = match_labels("file", dict.fromkeys(labels, 1), ["0", "1", "2"], label_map)
    except UserError as error:
        said = str(error)
    else:
        assert all(found[label] == label_map.get(label, found[label]) for label in labels)
        return
    assert "the label map" in said
