"""The Prefect installation that the tests of this room share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.deploying import Installation


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Server, pool and worker, with what `prefect deploy` finds at the root; ended whatever happens."""
    running = Installation(tmp_path_factory.mktemp("prefect"))
    try:
        running.prefect("--no-prompt", "deploy", "--all")
        running.start_worker()
        yield running
    finally:
        left = running.stop()
    assert left == []
    assert running.processes() == []
