"""The design: balanced, complete, and a function of what was asked for alone."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tasks.design import Design, make_design

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
