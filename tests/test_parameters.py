"""What each parameter is for is said once, on its field, and whoever asks gets the same answer."""

from __future__ import annotations

import shlex

import pytest

from ptdq.cli.main import cli
from ptdq.cli.options import given_options
from ptdq.cli.sensitivity import of_run, of_study
from ptdq.errors import UserError
from ptdq.parameters import (
    Group,
    Parameters,
    Purpose,
    command_line,
    default_values,
    make_parameters,
    names,
    with_demo,
)
from ptdq.parameters.matrix import MatrixParameters

ASKED = {"model": "m", "data": "d.csv"}


@pytest.mark.parametrize("name", names())
def test_every_parameter_is_described_under_one_heading(name: str) -> None:
    field = Parameters.model_fields[name]
    assert (field.description or "").endswith((".", ".)"))
    assert sum(isinstance(mark, Group) for mark in field.metadata) == 1


def test_names_are_asked_for_by_what_they_have_and_lack() -> None:
    assert names() == tuple(Parameters.model_fields)
    decisive = names(Purpose.EVALUATE, without=[Purpose.UNMEASURED])
    assert {"model", "keep_float", "model_loader"} < set(decisive)
    assert not {"results_dir", "run_id", "no_cache", "repeats"} & set(decisive)
    assert set(names(without=[Purpose.UNMEASURED])) | set(names(Purpose.UNMEASURED)) == set(names())
    assert names(Group.FILES, Purpose.MATRIX) == ("results_dir", "run_id")


def test_marks_that_imply_others() -> None:
    taken = set(names(Purpose.SENSITIVITY))
    assert set(names(Purpose.RUN_ONLY)) < set(names(Purpose.STUDY_ONLY)) < taken
    # What decides nothing explains nothing, and what a matrix gives to each run is no common question.
    assert not set(names(Purpose.EXPLAINS)) & {*names(Purpose.UNMEASURED), *names(Purpose.MATRIX)}
    assert set(names(Purpose.MATRIX)) - {"baseline"} <= set(MatrixParameters.model_fields)


def test_the_command_line_asks_for_the_same() -> None:
    given = ASKED | {
        "variant": ["int8-dynamic", "fp32"],
        "max_length": [16, 8],
        "keep_float": ["a.b", "c d"],
        "random_weights": True,
        "no_cache": True,
        "margin": 0.5,
        "limit": 7,
        "dtype": "float16",
        "cores": "3,",
    }
    parameters = make_parameters(given)
    program, command, *options = shlex.split(command_line(parameters))
    assert (program, command) == ("ptdq", "run")
    run = cli.get_command(None, "run")  # type: ignore[arg-type]
    assert run is not None
    given_back = given_options(run.make_context("run", options).params)
    assert make_parameters({k: v for k, v in given_back.items() if k in names()}) == parameters


def test_every_problem_is_named() -> None:
    with pytest.raises(UserError) as caught:
        make_parameters({"model": "m", "repeats": 0, "nonsense": 1})
    text = str(caught.value)
    assert "data: is required (--data, or `data:` in the config file)" in text
    assert "repeats: " in text
    assert "nonsense: no such parameter" in text
    assert "\n" not in text


def test_defaults_are_valid() -> None:
    assert make_parameters(ASKED | default_values()) == make_parameters(ASKED)


@pytest.mark.parametrize(
    ("name", "why"),
    [("a/b", "no path separator"), ("x" * 101, "too long"), ("x" * 5000, "5000 characters")],
)
def test_a_name_that_cannot_be_a_directory_is_refused_with_the_reason(name: str, why: str) -> None:
    with pytest.raises(UserError, match=f"run_id: .*{why}"):
        make_parameters(ASKED | {"run_id": name})
    assert make_parameters(ASKED | {"run_id": "x" * 100}).run_id == "x" * 100


def test_only_the_demo_makes_files() -> None:
    def never() -> None:
        raise AssertionError("made")

    parameters = make_parameters(ASKED)
    assert with_demo(parameters, never) is parameters  # type: ignore[arg-type]


# The two commands that share parameters with a run: a study of sensitivity, and the run of its choice.


def test_a_study_takes_a_configuration_but_not_its_name_and_sample() -> None:
    configured = ASKED | {"run_id": "nightly", "limit": 9, "max_length": [8, 64], "cores": "2"}
    study = of_study(configured, {})
    assert (study.run_id, study.limit, study.max_length, study.cores) == (None, 500, [64], "2")
    assert of_study(ASKED, {"limit": 3, "max_length": [32]}).limit == 3
    assert of_study(ASKED, {}).max_length == [128]


def test_the_run_of_its_choice_is_the_configuration_and_options_that_are_its_too() -> None:
    configured = ASKED | {"run_id": "nightly", "limit": 9, "cores": "2"}
    asked = {"run_id": "study", "limit": 3, "cores": "1", "max_wait": 5.0, "seed": 4, "margin": 0.9}
    run = of_run(configured, asked, of_study(configured, asked))
    assert run == configured | {"max_length": [128], "seed": 4, "margin": 0.9}
