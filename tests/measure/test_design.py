"""The design: balanced, complete, and a function of what was asked for alone."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptdq.measure.design import Design, cores_for, make_design
from ptdq.statistics.ratios import MIN_ROUNDS, speed_up

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
def test_balanced_means_each_variant_on_each_core_equally_often(design: Design) -> None:
    variants = {c.variant for c in design.cells}
    lengths = {c.max_length for c in design.cells}
    on = Counter((c.variant, c.max_length, c.core) for c in design.cells)
    equal = all(
        len({on[variant, length, core] for core in design.cores}) == 1
        for variant in variants
        for length in lengths
    )
    if design.balanced and len(variants) > 1:
        assert equal
    if not equal and len(variants) > 1:
        assert design.notes
    if design.balanced and equal:
        loads = {Counter((c.variant, c.max_length) for c in queue).total() for queue in design.queues}
        assert len(loads) == 1, "every core has as much to do"


@given(designs)
def test_documents_come_in_one_order_for_all_variants_of_a_round(design: Design) -> None:
    seeds: dict[int, set[int]] = {}
    for cell in design.cells:
        seeds.setdefault(cell.repeat, set()).add(cell.seed)
    assert all(len(found) == 1 for found in seeds.values())


def test_two_cores_swap_between_rounds() -> None:
    design = make_design(["fp32", "int8"], [128], 4, [0, 1], seed=3)
    for name in ("fp32", "int8"):
        cores = [c.core for c in sorted(design.cells, key=lambda c: c.repeat) if c.variant == name]
        assert cores in ([0, 1, 0, 1], [1, 0, 1, 0])


def test_one_core_turns_the_order_round() -> None:
    design = make_design(["fp32", "int8"], [128], 4, [0], seed=0)
    names = [c.variant for c in design.queues[0]]
    assert names[:2] == names[3:1:-1] == names[4:6]


def test_depends_on_the_seed_alone() -> None:
    assert make_design(NAMES, LENGTHS, 4, [0, 1], 5) == make_design(NAMES, LENGTHS, 4, [0, 1], 5)
    orders = {tuple(c.cell_id for c in make_design(NAMES, LENGTHS, 4, [0], s).cells) for s in range(9)}
    assert len(orders) > 1


def test_solo_is_one_queue_and_needs_no_control() -> None:
    design = make_design(["fp32", "int8"], [128, 256], 2, [0, 1], 0, "solo")
    assert len(design.queues) == 1
    assert len(design.queues[0]) == 8
    assert not design.control


def test_control_has_each_variant_and_length_alone_and_alternates() -> None:
    design = make_design(["fp32", "int8"], [128, 256], 2, [0, 1], 0)
    assert [(c.variant, c.max_length) for c in design.control] == [
        ("fp32", 128), ("int8", 128), ("int8", 256), ("fp32", 256),
    ]  # fmt: skip


def test_names_of_cells_are_fit_for_files() -> None:
    design = make_design(["my.package:Variant", "fp32"], [128], 1, [0], 0)
    assert not any("/" in c.cell_id or ":" in c.cell_id for c in design.cells)


def refused(design: Design) -> dict[tuple[str, str, int], str | None]:
    """Each pair of variants at each length, with why made-up times on its cores get no interval."""
    ran: dict[tuple[str, int], list[int]] = {}
    for cell in sorted(design.cells, key=lambda cell: cell.repeat):
        ran.setdefault((cell.variant, cell.max_length), []).append(cell.core)
    names, lengths = ({cell[axis] for cell in ran} for axis in (0, 1))
    found = {}
    for length in lengths:
        for one, other in combinations(sorted(map(str, names)), 2):
            cores = [np.array(ran[name, int(length)]) for name in (one, other)]
            times = np.random.default_rng(0).lognormal(0, 0.1, (2, len(cores[0]), 20))
            found[one, other, int(length)] = speed_up(*times, *cores, resamples=10).refused
    return found


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("lengths", [1, 3])
@pytest.mark.parametrize(
    ("usable", "used"), [(1, 1), (2, 2), (3, 2), (4, 4), (5, 4), (6, 4), (7, 4), (8, 4), (16, 4)]
)
def test_cores_of_the_default_run_give_every_interval(
    usable: int, used: int, lengths: int, count: int
) -> None:
    cores = cores_for(range(10, 10 + usable), count, 4)
    assert cores == list(range(10, 10 + used))
    design = make_design(NAMES[:count], LENGTHS[:lengths], 4, cores, seed=1)
    assert set(refused(design).values()) == {None}
    assert design.balanced
    assert not design.notes


@settings(deadline=None)
@given(st.integers(1, 16), st.integers(2, 5), st.integers(MIN_ROUNDS, 20), st.integers(1, 4))
def test_chosen_cores_are_the_most_that_give_every_interval(
    usable: int, count: int, repeats: int, lengths: int
) -> None:
    cores = cores_for(range(usable), count, repeats)
    for used in range(len(cores), usable + 1):
        design = make_design(NAMES[:count], LENGTHS[:lengths], repeats, range(used), 0)
        every = set(refused(design).values()) == {None}
        assert every == (used == len(cores))
        assert every != any(note.startswith("no interval") for note in design.notes)


def test_too_few_repeats_for_an_interval_use_every_core() -> None:
    assert cores_for([0, 1, 2], 2, MIN_ROUNDS - 1) == [0, 1, 2]
    assert not any("interval" in note for note in make_design(["a", "b"], [8], 3, range(3), 0).notes)


def test_what_the_note_names_gives_every_interval() -> None:
    notes = make_design(NAMES[:3], [128], 4, range(5), 0).notes
    assert notes[1] == (
        "no interval for any pair of variants with 4 repeats on 5 cores: "
        "`--repeats 5` or `--cores 4` gives one"
    )
    for repeats, cores in ((5, 5), (4, 4)):
        design = make_design(NAMES[:3], [128], repeats, range(cores), 0)
        assert set(refused(design).values()) == {None}


def test_pairs_that_share_their_cores_keep_their_interval() -> None:
    design = make_design(NAMES[:4], [128], 4, range(3), 0)
    without = [pair for pair, why in refused(design).items() if why is not None]
    assert f"no interval for {len(without)} of 6 pairs of variants" in design.notes[1]
    assert 0 < len(without) < 6
