"""What runs the tasks of a sharded evaluation: threads of this process, or a Dask cluster."""

from __future__ import annotations

from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from ptdq.errors import UserError


def make_runner(workers: int | None = None, scheduler: str | None = None) -> TaskRunner[Any]:
    """One thread of this process; or so many Dask processes of this machine, or a cluster's address.

    Raises:
        UserError: the extra ``dask`` is not installed.
    """
    if workers is None and scheduler is None:
        return ThreadPoolTaskRunner(max_workers=1)
    try:
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError as error:
        raise UserError("workers: Dask is not installed (pip install 'ptdq[dask]')") from error
    if scheduler is not None:
        return DaskTaskRunner(address=scheduler)
    # Any process of this machine reaches the scheduler's port, and a scheduler runs what it is sent:
    # with keys that are made for this cluster and known to nobody else.
    local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None, "security": True}
    return DaskTaskRunner(cluster_kwargs=local)


def is_elsewhere(runner: object) -> bool:
    """Whether tasks run on a cluster that has an address, and not on this machine."""
    return getattr(runner, "address", None) is not None
