"""What several recorders tell of the same calls adds up to the calls."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest

from ptdq.profile import watch
from ptdq.profile.operation import Operation

CALL, PRODUCT, ADDED = 0.05, 0.01, 0.02


class Inner:
    """Of a runtime that is called by another one; its bookkeeping takes time in the calls."""

    overhead = ADDED

    def attached(self) -> AbstractContextManager[None]:
        return nullcontext()

    def recording(self) -> AbstractContextManager[None]:
        return nullcontext()

    def listening(self) -> AbstractContextManager[None]:
        return nullcontext()

    def operations(self) -> list[Operation]:
        return [Operation("product", "int8 products", PRODUCT)]


class Outer(Inner):
    """Calls all that it does not know framework, as the recorder of torch does."""

    overhead = 0.0

    @contextmanager
    def recording(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds = time.perf_counter() - began

    def operations(self) -> list[Operation]:
        return [Operation("between", "framework", self.seconds)]


def test_what_a_recorder_adds_is_not_the_framework_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    here = "tests.profile.test_watch"
    monkeypatch.setattr(watch, "_RECORDERS", {"json": f"{here}:Inner", "sys": f"{here}:Outer"})
    found = watch.profile(lambda: None, lambda model: None, lambda model: time.sleep(CALL))
    told = {one.part: one.seconds for one in found.operations}
    assert told["int8 products"] == PRODUCT
    # The outer one's clock runs a little longer than that of the calls.
    assert 0 <= sum(told.values()) - found.seconds < PRODUCT
    assert found.seconds >= CALL - ADDED
