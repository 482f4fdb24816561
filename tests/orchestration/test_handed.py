"""Large values that tasks hand to each other are let go before the flow ends."""

from __future__ import annotations

import gc
import weakref
from typing import Any, cast

import pytest
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import quote

from ptdq.orchestration.handed import Handed


class Large:
    """Something that a weak reference can point to."""


def test_prefect_does_not_keep_it(prefect_server: str) -> None:
    made: list[weakref.ref[Large]] = []

    @task(cache_policy=NO_CACHE)
    def load() -> Handed[Large]:
        value = Large()
        made.append(weakref.ref(value))
        return Handed(value)

    @task(cache_policy=NO_CACHE)
    def use(handed: Handed[Large]) -> str:
        return type(handed.value).__name__

    @flow
    def hands() -> tuple[str, bool, bool]:
        handed = load.submit().result()
        name = use.submit(cast("Any", quote(handed))).result()
        before = made[0]() is not None
        handed.let_go()
        gc.collect()
        return name, before, made[0]() is not None

    assert hands() == ("Large", True, False)


def test_what_was_let_go_is_not_there() -> None:
    handed = Handed([1])
    assert handed.value == [1]
    handed.let_go()
    with pytest.raises(ValueError, match="let go"):
        _ = handed.value
