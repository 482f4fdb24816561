"""The wheel and its neighbour, made once for all tests of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.neighbour import Neighbour, build_wheel, make_neighbour


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def neighbour(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Neighbour:
    return make_neighbour(tmp_path_factory.mktemp("project"), wheel)
