"""Code that parameters name: anyone's on the command line, from the API what the machine allows."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun

from ptdq.errors import UserError
from ptdq.orchestration.permission import ALLOW, check_code
from ptdq.parameters import make_parameters

CODE: list[tuple[dict[str, Any], str]] = [
    ({"model_loader": "runpy:run_path"}, "model_loader 'runpy:run_path'"),
    ({"variant": ["fp32", "mine.sub:Class"]}, "variant 'mine.sub:Class'"),
    ({"trust_remote_code": True}, "trust_remote_code"),
]


def asked(code: dict[str, Any]) -> Any:
    return make_parameters({"model": "m", "data": "d.csv"} | code)


def of_deployment() -> FlowRun:
    return FlowRun(flow_id=uuid4(), deployment_id=uuid4())


@pytest.mark.parametrize(("code", "named"), CODE)
def test_a_deployment_may_name_no_code(
    code: dict[str, Any], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ALLOW, raising=False)
    check_code(asked({}), of_deployment())
    with pytest.raises(UserError) as caught:
        check_code(asked(code), of_deployment())
    assert str(caught.value).startswith(f"{named}: ")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(("code", "named"), CODE)
def test_the_command_line_and_python_may(
    code: dict[str, Any], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ALLOW, raising=False)
    check_code(asked(code), None)
    check_code(asked(code), FlowRun(flow_id=uuid4()))


def test_what_the_machine_allows_may_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ALLOW, "mine, runpy ,trust_remote_code")
    for code, _ in CODE:
        check_code(asked(code), of_deployment())


@pytest.mark.parametrize("module", ["mineral", "other.mine", "min", "trust_remote_code_too", "."])
def test_a_name_that_only_looks_alike_is_not_allowed(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ALLOW, "mine,,")
    with pytest.raises(UserError, match=ALLOW):
        check_code(asked({"model_loader": f"{module}:load"}), of_deployment())
