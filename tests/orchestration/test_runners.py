"""The Dask cluster of a sharded evaluation: what is its own, and who may send it work."""

from __future__ import annotations

import pytest

from ptdq.orchestration.runners import make_runner


@pytest.mark.slow
def test_a_local_cluster_takes_nothing_from_those_without_its_keys() -> None:
    pytest.importorskip("prefect_dask")
    from distributed import Client, LocalCluster

    runner = make_runner(workers=1)
    with LocalCluster(**runner.cluster_kwargs) as cluster:  # type: ignore[attr-defined]
        address = cluster.scheduler_address
        assert address.startswith("tls://127.0.0.1:")
        with Client(cluster) as client:
            assert client.submit(sum, [1, 2]).result(timeout=30) == 3
        # Refused at once or never answered: which of the two is the machine's.
        with pytest.raises(OSError, match=r"Timed out|in <TCP"):
            Client(address.replace("tls://", "tcp://"), timeout=3)
