"""What this machine was found to do lately: taken once, and again where anything differs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ptdq.host import lately
from ptdq.host.lately import LATELY, measured_lately
from ptdq.store.cache import MACHINE


class Measurements:
    """Counts how often it is asked."""

    def __init__(self, found: dict[str, Any] | None) -> None:
        self.found, self.count = found, 0

    def __call__(self) -> dict[str, Any] | None:
        self.count += 1
        return self.found


def number(values: Any) -> int:
    return int(values["number"])


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PTDQ_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def kept(cache: Path) -> list[Path]:
    return list((cache / MACHINE).glob("*"))


def test_it_is_measured_once(cache: Path) -> None:
    measure = Measurements({"number": 3})
    first = measured_lately({"what": [1, 2]}, measure, number)
    again = measured_lately({"what": (1, 2)}, measure, number)
    assert first == (3, None)
    assert again is not None
    assert again[0] == 3
    assert again[1] is not None
    assert datetime.now(UTC) - again[1] < timedelta(minutes=1)
    assert measure.count == 1


def test_anything_else_is_measured_anew(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = Measurements({"number": 3})
    measured_lately({"what": 1}, measure, number)
    measured_lately({"what": 2}, measure, number)
    assert measure.count == 2
    monkeypatch.setattr(lately, "boot_id", lambda: "another start of the system")
    measured_lately({"what": 1}, measure, number)
    assert measure.count == 3


def test_software_is_part_of_it(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = Measurements({"number": 3})
    measured_lately({"what": 1}, measure, number)
    monkeypatch.setattr(lately, "measuring_versions", lambda: {"torch": "another"})
    measured_lately({"what": 1}, measure, number)
    assert measure.count == 2


@pytest.mark.parametrize("age", [LATELY, -timedelta(minutes=5)])
def test_what_is_old_or_of_the_future_is_measured_anew(cache: Path, age: timedelta) -> None:
    measure = Measurements({"number": 3})
    measured_lately({"what": 1}, measure, number)
    (path,) = kept(cache)
    moment = datetime.now(UTC) - age
    path.write_text(json.dumps(json.loads(path.read_text()) | {"measured_at": moment.isoformat()}))
    found = measured_lately({"what": 1}, measure, number)
    assert found == (3, None)
    assert measure.count == 2


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"measured_at": "2026-01-01", "value": {}}', "[" * 100_000]
)
def test_a_damaged_file_is_no_answer(cache: Path, content: str) -> None:
    measure = Measurements({"number": 3})
    measured_lately({"what": 1}, measure, number)
    (path,) = kept(cache)
    path.write_text(content)
    assert measured_lately({"what": 1}, measure, number) == (3, None)


@pytest.mark.parametrize(
    ("old", "new"), [('"number"', '"no number"'), ('"number": 3', '"number": Infinity')]
)
def test_a_value_of_another_kind_or_without_end_is_no_answer(cache: Path, old: str, new: str) -> None:
    measure = Measurements({"number": 3})
    measured_lately({"what": 1}, measure, number)
    (path,) = kept(cache)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert measured_lately({"what": 1}, measure, number) == (3, None)


def test_what_is_measured_on_a_busy_machine_serves_no_other_run(cache: Path) -> None:
    measure = Measurements({"number": 3})
    assert measured_lately({"what": 1}, measure, number, keep=False) == (3, None)
    measured_lately({"what": 1}, measure, number)
    assert measure.count == 2


def test_what_could_not_be_measured_is_not_kept(cache: Path) -> None:
    assert measured_lately({"what": 1}, Measurements(None), number) is None
    assert not kept(cache)
