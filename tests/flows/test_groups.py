"""A run with a column of groups, from the file to the report; and what may not change when it goes on."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import ptdq
from ptdq.errors import UserError
from ptdq.execution import extended
from ptdq.measure.run_request import check_same
from ptdq.parameters import make_parameters
from ptdq.store.tables import read_table
from tests.support.running import Finished, Run

pytestmark = [pytest.mark.slow, pytest.mark.long]

AUTHORS = 13


@pytest.fixture(scope="module")
def grouped(run_tiny: Run, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Forty documents of thirteen authors."""
    path = tmp_path_factory.mktemp("grouped") / "test.csv"
    rows = pd.read_csv(tiny_data)
    rows.assign(author=[f"author {n % AUTHORS}" for n in range(len(rows))]).to_csv(path, index=False)
    return run_tiny("grouped", data=str(path), group_column="author")


def test_the_groups_are_in_the_files_and_count(grouped: Finished) -> None:
    files = grouped.files
    groups = read_table(files.table("documents"))["group"].to_pylist()
    assert groups == [f"author {n % AUTHORS}" for n in range(40)]
    run = ptdq.load(files.directory)
    assert (run.record.data.documents, run.record.data.groups) == (40, AUTHORS)
    (row,) = run.comparisons.to_dict("records")
    assert (row["documents"], row["texts"], row["timing_groups"]) == (40, AUTHORS, AUTHORS)
    assert f"{AUTHORS} groups of documents that belong together (`author`)" in run.report.read_text(
        "utf-8"
    )


def test_a_run_goes_on_with_its_own_groups(grouped: Finished) -> None:
    directory = grouped.files.directory
    parameters = extended(directory, {"repeats": 2})
    assert parameters.group_column == "author"
    check_same(parameters, grouped.files)
    for other in (None, "label"):
        changed = make_parameters(parameters.model_dump() | {"group_column": other})
        with pytest.raises(UserError, match="group_column was author"):
            check_same(changed, grouped.files)
    with pytest.raises(UserError, match="group_column: a run continues as it began"):
        ptdq.extend(directory, repeats=2, group_column="label")
