"""Every file that a run, a matrix or an evaluation leaves: the one place that knows their names."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from ptdq.errors import UserError
from ptdq.store.disk import file_digest, replacing
from ptdq.store.record_file import read_record
from ptdq.store.record_model import RunRecord


@dataclass(frozen=True)
class MatrixFiles:
    """Where the files of a matrix lie, ``results/<matrix_id>/``; its runs are under ``runs/``."""

    directory: Path

    @property
    def matrix_id(self) -> str:
        return self.directory.name

    @property
    def record(self) -> Path:
        """``matrix.json``: what was asked for, and how it ended."""
        return self.directory / "matrix.json"

    @property
    def table(self) -> Path:
        return self.directory / "matrix.parquet"

    @property
    def report(self) -> Path:
        return self.directory / "report.md"

    @property
    def log(self) -> Path:
        """As :attr:`RunFiles.log`."""
        return self.directory / "matrix.log"

    @property
    def runs(self) -> Path:
        """The results directory of the runs, which all machines see."""
        return self.directory / "runs"


@dataclass(frozen=True)
class ShardFiles:
    """Where the files of a sharded evaluation lie, ``results/<run_id>/``."""

    directory: Path

    @property
    def run_id(self) -> str:
        return self.directory.name

    @property
    def record(self) -> Path:
        """``evaluation.json``: what was asked for, and the quality found."""
        return self.directory / "evaluation.json"

    @property
    def report(self) -> Path:
        return self.directory / "report.md"

    @property
    def log(self) -> Path:
        """As :attr:`RunFiles.log`."""
        return self.directory / "evaluation.log"

    @property
    def documents(self) -> Path:
        return self.directory / "documents.parquet"

    @property
    def shards(self) -> Path:
        """One Parquet data set: a file of the schema ``shard`` for each shard."""
        return self.directory / "shards"

    def shard(self, number: int) -> Path:
        return self.shards / f"{number:06d}.parquet"


@dataclass(frozen=True)
class RunFiles:
    """Where the files of one run lie, ``results/<run_id>/``."""

    directory: Path

    @property
    def run_id(self) -> str:
        return self.directory.name

    @property
    def record(self) -> Path:
        """``run.json``: parameters, hashes, machine, design, verdict."""
        return self.directory / "run.json"

    def check_links(self) -> None:
        """Raises UserError where a directory of the run is a link: it would be written through."""
        for path in (self.cells, self.requests, self.logs, self.plot("").parent):
            if path.is_symlink():
                raise UserError(f"run '{self.run_id}': {path} is a link; a run's directory holds none")

    @property
    def report(self) -> Path:
        return self.directory / "report.md"

    @property
    def page(self) -> Path:
        """The report as one file, to be mailed."""
        return self.directory / "report.html"

    @property
    def cells(self) -> Path:
        """One file for each finished cell, durable as soon as it is there."""
        return self.directory / "cells"

    @property
    def requests(self) -> Path:
        """What each worker was asked to do; a cell can be run again by hand with it."""
        return self.directory / "requests"

    @property
    def timing_documents(self) -> Path:
        """The documents that time is measured on, where those are not all."""
        return self.requests / "timing_documents.parquet"

    @property
    def logs(self) -> Path:
        """What the workers and the run wrote on standard error."""
        return self.directory / "logs"

    @property
    def log(self) -> Path:
        """What the flow, its libraries and Prefect said; a run of a deployment leaves that to Prefect."""
        return self.logs / "run.log"

    def keep_documents(self, path: Path) -> None:
        """Copy the documents beside the results, so that the run can be read without the cache.

        In the place of a copy that is there and is another: of a run that goes on, the documents are the
        same by their hash, so it is damaged.
        """
        kept = self.table("documents")
        if kept.is_symlink() or not kept.is_file() or file_digest(kept) != file_digest(path):
            with replacing(kept) as temporary:
                shutil.copyfile(path, temporary)

    def table(self, name: str) -> Path:
        return self.directory / f"{name}.parquet"

    def cell(self, cell_id: str) -> Path:
        return self.cells / f"{cell_id}.parquet"

    def failure(self, cell_id: str) -> Path:
        """Record of a cell that failed."""
        return self.cells / f"{cell_id}.failed.json"

    def plot(self, name: str) -> Path:
        return self.directory / "plots" / f"{name}.png"


def open_run(run: str | Path, results: Path = Path("results")) -> RunFiles:
    """The files of a run that exists, named by its directory or by its id under ``results``.

    Raises:
        UserError: there is no such run, its record is damaged, or of a newer schema version.
    """
    for directory in (Path(run), results / str(run)):
        if (directory / "run.json").is_file():
            files = RunFiles(directory)
            files.check_links()
            read_record(RunRecord, files.record)
            return files
    raise UserError(f"run '{run}': no run.json in {run} or {results / str(run)}")
