"""Flat parameters of a flow: its signature is the model, and the nested form is read as well."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from prefect.client.schemas.objects import State
from prefect.utilities.callables import parameter_schema

from ptdq.errors import UserError
from ptdq.orchestration.signature import flat, given_values
from ptdq.parameters import Parameters, make_parameters


@flat(Parameters)
def told(parameters: Parameters, resume: bool = False) -> Any:
    """Say what was given.

    Args:
        parameters: what to measure, and how,
            in two lines.
        resume: go on.
    """
    return parameters, resume


NESTED = {"model": "m", "data": "d.csv", "limit": 200, "repeats": 2}


def test_each_field_is_a_parameter_with_its_constraint_and_meaning() -> None:
    schema = parameter_schema(told)
    assert list(schema.properties) == [*Parameters.model_fields, "resume", "parameters"]
    for name, field in Parameters.model_fields.items():
        assert schema.properties[name]["description"] == field.description
        if not field.is_required():
            assert schema.properties[name]["default"] == field.get_default()
    assert schema.properties["repeats"]["minimum"] == 1
    assert schema.properties["max_length"]["items"]["minimum"] == 3
    assert schema.properties["granularity"]["enum"] == ["per-tensor", "per-channel"]
    assert schema.properties["resume"]["description"] == "go on."
    assert inspect.getdoc(told) is not None
    assert "in two lines" not in str(inspect.getdoc(told))


def test_values_are_given_one_by_one() -> None:
    parameters, resume = told(model="m", data="d.csv", limit=200, resume=True)
    assert (parameters, resume) == (make_parameters({"model": "m", "data": "d.csv", "limit": 200}), True)


@pytest.mark.parametrize("own", [{}, {"limit": 800}])
def test_the_old_form_is_read_and_changed_by_what_is_given_beside_it(own: dict[str, Any]) -> None:
    # Prefect gives every parameter, those that nobody gave with their default.
    defaults = {n: p.default for n, p in inspect.signature(told).parameters.items()}
    parameters, resume = told(**defaults | {"parameters": NESTED} | own)
    assert parameters == make_parameters(NESTED | own)
    assert resume is False


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ({"data": "d.csv"}, "model: is required"),
        ({"model": "m", "data": "d.csv", "run_id": "a/b"}, "run_id: 'a/b'"),
        ({"parameters": NESTED | {"surprise": 1}}, "surprise: no such parameter"),
    ],
)
def test_wrong_values_end_the_flow_with_one_line(wrong: dict[str, Any], part: str) -> None:
    state = told(**wrong)
    assert isinstance(state, State)
    assert state.is_failed()
    assert isinstance(state.result(raise_on_failure=False), UserError)
    assert part in str(state.message)


def test_values_of_a_flow_run_are_found_in_either_form() -> None:
    assert given_values(Parameters, {"parameters": NESTED}) == NESTED
    assert given_values(Parameters, {**NESTED, "resume": True, "parameters": None}) == NESTED
