"""The design: complete, balanced, drawn anew for each block, a function of what was asked for alone."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptdq.measure.design import Design, cores_for, design_frame, make_design

NAMES = ["fp32", "a", "b", "c", "d"]
LENGTHS = [128, 256, 384, 512]

designs = st.builds(
    make_design,
    st.integers(1, 5).map(lambda n: NAMES[:n]),
    st.integers(1, 4).map(lambda n: LENGTHS[:n]),
    st.integers(1, 7),
    st.integers(1, 4).map(range),
    st.integers(0, 99),
)


@given(designs)
def test_every_cell_once(design: Design) -> None:
    cells = [(c.variant, c.max_length, c.repeat) for c in design.cells]
    assert len(set(cells)) == len(cells)
    axes = [{cell[axis] for cell in cells} for axis in range(3)]
    assert len(cells) == len(axes[0]) * len(axes[1]) * len(axes[2])
    assert len({c.cell_id for c in design.cells}) == len(cells)


@given(designs)
def test_each_queue_is_of_one_core_in_order(design: Design) -> None:
    for core, queue in zip(design.cores, design.queues, strict=True):
        assert [c.order for c in queue] == list(range(len(queue)))
        assert {c.core for c in queue} <= {core}
        assert [c.repeat for c in queue] == sorted(c.repeat for c in queue)


@given(designs)
def test_a_round_is_one_pass_on_one_core(design: Design) -> None:
    cores: dict[int, set[int]] = {}
    for cell in design.cells:
        cores.setdefault(cell.repeat, set()).add(cell.core)
    assert all(len(each) == 1 for each in cores.values())


@given(designs)
def test_balanced_means_each_variant_on_each_core_equally_often(design: Design) -> None:
    on = Counter((c.variant, c.max_length, c.core) for c in design.cells)
    counts = {on[c.variant, c.max_length, core] for c in design.cells for core in design.cores}
    assert design.balanced == (len(counts) == 1)
    assert design.balanced or any("nothing to do at the end" in note for note in design.notes)


@given(designs)
def test_documents_come_in_one_order_for_all_variants_of_a_round(design: Design) -> None:
    seeds: dict[int, set[int]] = {}
    for cell in design.cells:
        seeds.setdefault(cell.repeat, set()).add(cell.seed)
    assert all(len(each) == 1 for each in seeds.values())


@given(st.integers(1, 5), st.integers(1, 3), st.integers(1, 4), st.integers(0, 99))
def test_more_rounds_begin_with_the_cells_of_fewer(
    variants: int, lengths: int, cores: int, seed: int
) -> None:
    shape = (NAMES[:variants], LENGTHS[:lengths])
    short, long = (make_design(*shape, repeats, range(cores), seed) for repeats in (cores, 3 * cores))
    for few, many in zip(short.queues, long.queues, strict=True):
        assert many[: len(few)] == few


def beside(design: Design) -> Counter[tuple[str, str]]:
    """How often two variants had the same place in the two queues."""
    one, other = design.queues
    return Counter(tuple(sorted((a.variant, b.variant))) for a, b in zip(one, other, strict=True))  # type: ignore[misc]


def test_of_two_variants_each_runs_beside_the_other_and_beside_itself() -> None:
    pairs = beside(make_design(["fp32", "int8"], [128], 40, [0, 1], seed=3))
    assert pairs.total() == 40
    assert abs(pairs["fp32", "int8"] - 20) <= 2
    assert abs(pairs["fp32", "fp32"] - 10) <= 1


@pytest.mark.parametrize("seed", range(20))
def test_no_variant_has_all_cores_twice_in_a_row(seed: int) -> None:
    """What slowed the whole machine meanwhile would be taken for the variant."""
    for rounds in (4, 8, 16):
        one, other = make_design(["fp32", "int8"], [128], rounds, [0, 1], seed).queues
        names = [{a.variant, b.variant} for a, b in zip(one, other, strict=True)]
        assert not [first for first, then in pairwise(names) if first == then and len(first) == 1]


@pytest.mark.parametrize("seed", range(3))
def test_neighbours_are_evened_out_and_drawn_anew(seed: int) -> None:
    names = [f"v{number}" for number in range(14)]
    design = make_design(names, [128], 40, [0, 1], seed)
    met = np.zeros((14, 14), dtype=int)
    for (a, b), times in beside(design).items():
        met[names.index(a), names.index(b)] += times
        met[names.index(b), names.index(a)] += times
    # 280 meetings over 14 × 14 places: by chance alone their standard deviation would be about 1.7.
    assert met.std() < 1.4
    orders = {tuple(c.variant for c in design.queues[0][i : i + 14]) for i in range(0, 280, 14)}
    assert len(orders) == 20


def test_a_design_drawn_once_is_noticed_by_the_same_measure() -> None:
    names = [f"v{number}" for number in range(14)]
    first = make_design(names, [128], 2, [0, 1], 0)
    met = Counter({pair: 20 * times for pair, times in beside(first).items()})
    assert max(met.values()) >= 20


def test_one_core_turns_the_order_round() -> None:
    design = make_design(NAMES, [128], 2, [0], seed=0)
    names = [c.variant for c in design.queues[0]]
    assert names[:5] == names[:4:-1]


def test_depends_on_the_seed_alone() -> None:
    assert make_design(NAMES, LENGTHS, 4, [0, 1], 5) == make_design(NAMES, LENGTHS, 4, [0, 1], 5)
    orders = {tuple(c.cell_id for c in make_design(NAMES, LENGTHS, 4, [0], s).cells) for s in range(9)}
    assert len(orders) > 1


def test_solo_is_one_queue_and_needs_no_control() -> None:
    design = make_design(["fp32", "int8"], [128, 256], 2, [0, 1], 0, "solo")
    assert len(design.queues) == 1
    assert len(design.queues[0]) == 8
    assert not design.with_control(["fp32", "int8"], [128, 256]).control


def test_same_runs_one_variant_on_all_cores_at_once() -> None:
    design = make_design(["fp32", "int8"], [128, 256], 4, [0, 1], 0, "same")
    one, other = design.queues
    assert [(c.variant, c.max_length, c.repeat) for c in one] == [
        (c.variant, c.max_length, c.repeat) for c in other
    ]
    assert len({c.cell_id for c in design.cells}) == len(design.cells) == 32
    assert {c.core for c in other} == {1}


def test_control_has_each_variant_and_length_alone_and_alternates() -> None:
    design = make_design(["fp32", "int8"], [128, 256], 2, [0, 1], 0)
    design = design.with_control(["fp32", "int8"], [128, 256])
    assert [(c.variant, c.max_length) for c in design.control] == [
        ("fp32", 128), ("int8", 128), ("int8", 256), ("fp32", 256),
    ]  # fmt: skip


def test_names_of_cells_are_fit_for_files() -> None:
    design = make_design(["my.package:Variant", "fp32"], [128], 1, [0], 0)
    assert not any("/" in c.cell_id or ":" in c.cell_id for c in design.cells)


@pytest.mark.parametrize(
    ("usable", "repeats", "used"), [(1, 4, 1), (2, 4, 2), (3, 4, 2), (4, 4, 4), (16, 4, 4), (3, 7, 3)]
)
def test_no_more_cores_than_the_rounds_keep_busy(usable: int, repeats: int, used: int) -> None:
    assert cores_for(range(10, 10 + usable), repeats) == list(range(10, 10 + used))


def test_the_table_has_a_row_for_each_cell() -> None:
    design = make_design(NAMES, LENGTHS, 2, 2, 0)
    frame = design_frame(design)
    assert len(frame) == len(design.cells) == 40
    assert {"variant", "max_length", "repeat", "core", "order", "seed", "cell_id"} <= set(frame.columns)


@pytest.mark.parametrize(
    ("change", "word"),
    [({"variants": []}, "variants"), ({"variants": ["a", "a"]}, "variants"), ({"repeats": 0}, "repeats"),
     ({"cores": []}, "cores"), ({"isolation": "alone"}, "isolation")],
)  # fmt: skip
def test_what_cannot_be_laid_out_is_named(change: dict[str, object], word: str) -> None:
    asked = {"variants": ["a"], "max_lengths": [8], "repeats": 1, "cores": [0], "seed": 0} | change
    with pytest.raises(ValueError, match=f"^{word}"):
        make_design(**asked)  # type: ignore[arg-type]


def test_cells_for_quality_are_dealt_out_once_the_longest_first() -> None:
    design = make_design(["a", "b", "c"], [16, 64], 4, [0, 1], 0).with_quality(["a", "b", "c"], [16, 64])
    places = [(cell.variant, cell.max_length) for cell in design.judged]
    assert sorted(places) == sorted((v, n) for v in "abc" for n in (16, 64))
    assert [len(queue) for queue in design.quality] == [3, 3]
    for queue in design.quality:
        assert [cell.order for cell in queue] == [0, 1, 2]
        assert [cell.max_length for cell in queue] == sorted((c.max_length for c in queue), reverse=True)
    assert {cell.kind for cell in design.judged} == {"quality"}
    assert {cell.kind for cell in (*design.cells, *design.control)} == {"timing"}
    # None of them shares its file with a cell of a round.
    assert not {c.cell_id for c in design.judged} & {c.cell_id for c in design.cells}
