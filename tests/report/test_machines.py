"""The report of a matrix: a fair ranking, and every failure with its reason."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ptdq.matrix.plan import Child, undecidable
from ptdq.orchestration.artifacts import COLUMNS, MACHINES
from ptdq.parameters import make_parameters
from ptdq.report.machines import document, machine_rows


def row(machine: str, model: str, rate: float | None, **values: Any) -> Any:
    """A row of the table ``matrix``."""
    names = (
        "speedup", "speedup_low", "speedup_high", "speedup_refused", "f1_weighted",
        "f1_weighted_difference", "error", "confounded", "documents_needed",
    )  # fmt: skip
    given: dict[str, Any] = dict.fromkeys(names)
    given |= {
        "machine": machine, "model": model, "max_length": 128, "run_id": f"{machine}-{model}",
        "status": "ok", "cpu": f"CPU of {machine}", "flags": ["avx2"], "cores": 4, "cores_usable": 8,
        "isolation": "parallel", "variant": "int8-dynamic", "rounds": 4, "forward_p50_ms": 2.0,
        "forward_p95_ms": 3.0, "documents_per_second": rate, "artifact_bytes": 10**6, "documents": 100,
        "non_inferiority": "non-inferior", "latency_verdict": "faster",
    }  # fmt: skip
    return given | values


def fp32(machine: str, model: str, rate: float) -> Any:
    """The baseline's row, which is compared with nothing."""
    nothing = {"non_inferiority": None, "latency_verdict": None, "documents": None}
    return row(machine, model, rate, variant="fp32", **nothing)


def failed(machine: str, model: str, error: str) -> Any:
    nothing = {"cpu": None, "flags": None, "cores": None, "cores_usable": None, "variant": None}
    return row(machine, model, None, status="failed", error=error, **nothing)


def test_a_machine_does_not_gain_by_failing_at_the_large_model() -> None:
    rows = [
        row("quick", "small", 100.0),
        row("quick", "large", 10.0),
        row("broken", "small", 90.0),
        failed("broken", "large", "out of memory"),
    ]
    first, second = machine_rows(rows)
    assert (first["machine"], second["machine"]) == ("quick", "broken")
    assert first["documents_per_second_core"] == pytest.approx(100)
    assert first["documents_per_second"] == pytest.approx(400)
    assert (second["failed"], second["runs"]) == (1, 2)


def test_an_inferior_variant_does_not_count() -> None:
    rows = [
        fp32("a", "m", 50.0),
        row("a", "m", 90.0, non_inferiority="inferior"),
    ]
    (found,) = machine_rows(rows)
    assert found["variants"] == ["fp32"]
    assert found["documents_per_second_core"] == pytest.approx(50)
    assert "Can't tell" not in document("x", rows)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"non_inferiority": "undecided", "documents_needed": 412},
            "100 documents do not decide its quality; about 412 would",
        ),
        ({"non_inferiority": "undecided"}, "no number in reach would"),
        ({"non_inferiority": None}, "its quality is not known"),
        ({"confounded": "a step in round 2"}, "(a step in round 2); run it again on a calm machine"),
    ],
)
def test_what_is_not_decided_is_not_picked_and_it_is_said_what_would_tell(
    changes: dict[str, Any], said: str
) -> None:
    """Before, the fastest of all that were not found inferior was picked, on 100 documents."""
    rows = [fp32("a", "m", 50.0), row("a", "m", 90.0, **changes), row("a", "m", 40.0, variant="bfloat16")]
    (found,) = machine_rows(rows)
    assert found["variants"] == ["fp32"]
    assert found["documents_per_second_core"] == pytest.approx(50)
    text = document("x", rows)
    assert "**Can't tell** whether these may be used" in text
    assert said in text.replace("\\", "")


def test_a_variant_that_is_decided_is_picked_and_what_is_slower_is_not_mentioned() -> None:
    rows = [
        fp32("a", "m", 50.0),
        row("a", "m", 90.0),
        row("a", "m", 60.0, variant="bfloat16", non_inferiority="undecided", documents_needed=400),
    ]
    (found,) = machine_rows(rows)
    assert found["variants"] == ["int8-dynamic"]
    assert "Can't tell" not in document("x", rows)


def test_columns_are_those_that_are_documented() -> None:
    (found,) = machine_rows([row("a", "m", 50.0)])
    assert ["schema_version", "matrix_id", *found, "directory"] == list(COLUMNS[MACHINES])


def test_with_prices_the_cheapest_is_first() -> None:
    rows = [row("fast", "m", 100.0), row("cheap", "m", 60.0)]
    first, _ = machine_rows(rows, {"fast": 2.0, "cheap": 1.0})
    assert first["machine"] == "cheap"
    assert first["documents_per_price"] == pytest.approx(60 * 4 * 3600)
    assert "1.20 times the documents for the money" in document("x", rows, {"fast": 2.0, "cheap": 1.0})


def test_a_pool_of_several_cpus_has_no_rates_and_spoils_no_others() -> None:
    rows = [
        row("mixed", "small", 100.0, cpu="Old"),
        row("mixed", "large", 10.0, cpu="New"),
        row("a", "small", 50.0),
        row("a", "large", 2.0),
    ]
    first, second = cast(list[dict[str, Any]], machine_rows(rows))
    assert (first["machine"], first["cpu"], first["compared"]) == ("a", "CPU of a", 2)
    assert second["cpu"] == "several CPUs: New, 8 cores; Old, 8 cores"
    names = ("cores", "flags", "documents_per_second_core", "documents_per_second", "documents_per_price")
    assert [second[name] for name in names] == [None] * len(names)
    text = document("x", rows)
    assert "No rates for `mixed`" in text
    assert "No rates" not in document("x", rows[2:])


def test_a_matrix_without_figures_says_so() -> None:
    text = document("x", [failed("a", "m", "Failed: no | such file")])
    assert "No machine has figures" in text
    assert r"no \| such file" in text


def test_a_sample_that_can_decide_nothing_is_known_before() -> None:
    """100 documents cannot show that 99 % of F1 is kept, even if no prediction changes."""

    def said(**values: Any) -> list[str]:
        benchmark = make_parameters({"model": "m", "data": "d.csv", **values})
        return undecidable({Child("a", "m", 128): benchmark, Child("b", "m", 128): benchmark})

    (text,) = said(limit=100)
    assert text.startswith("limit 100: so few documents cannot show that 0.99 of F1 is kept")
    needed = int(text.split("it takes ")[1].split()[0])
    assert said(limit=needed) == []
    assert len(said(limit=needed - 1)) == 1
    assert said() == said(limit=100, margin=0.9) == said(limit=100, random_weights=True) == []
