"""A copy of a finished run elsewhere: any file system that fsspec opens, object stores included.

A run itself is written to a local path, since cells, retries and resuming need atomic renames. Its
report and tables are copied once they are whole, ``run.json`` last: readers
(:mod:`ptdq.store.results`) take a directory without it for no run. Credentials come from the
environment, as the file system's own documentation says; never put them into the URL, which is recorded.
"""

from __future__ import annotations

from typing import Any

from ptdq.errors import RunFailed, UserError
from ptdq.store.layout import RunFiles


def check(url: str, run_id: str, again: bool) -> None:
    """Find before hours of work what would fail after them.

    Args:
        url: directory that gets a directory for each run.
        run_id: name of the run.
        again: a copy that is there already may be replaced.

    Raises:
        UserError: no driver, not writable, or there is a run of that name.
    """
    try:
        system, root = _open(url)
        taken = system.exists(f"{root}/{run_id}/run.json")
        if not taken:
            system.makedirs(root, exist_ok=True)
            system.pipe_file(f"{root}/.ptdq-{run_id}", b"")
            system.rm_file(f"{root}/.ptdq-{run_id}")
    except Exception as error:  # each file system has errors of its own
        raise UserError(f"publish_to {url}: not writable ({_reason(error)})") from error
    if taken and not again:
        raise UserError(f"publish_to {url}: there is a run {run_id} already; take another run_id")


def publish(files: RunFiles, url: str) -> str:
    """Copy report, plots and tables; returns where to.

    Raises:
        RunFailed: it cannot be copied. The run itself is whole.
    """
    try:
        system, root = _open(url)
        target = f"{root}/{files.run_id}"
        paths = [*files.directory.glob("[!.]*.*"), *files.directory.glob("plots/[!.]*.*")]
        system.makedirs(f"{target}/plots", exist_ok=True)
        for path in sorted(paths, key=lambda path: (path == files.record, path)):
            system.put_file(str(path), f"{target}/{path.relative_to(files.directory)}")
    except Exception as error:  # each file system has errors of its own
        raise RunFailed(
            f"publish_to {url}: {_reason(error)}; the report is whole: {files.report}",
            str(files.directory),
        ) from error
    return f"{url.rstrip('/')}/{files.run_id}"


def _open(url: str) -> tuple[Any, str]:
    import fsspec

    system, root = fsspec.core.url_to_fs(url)
    system.invalidate_cache()
    return system, root.rstrip("/")


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
