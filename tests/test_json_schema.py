"""The JSON schema of a configuration file says what the parameters say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from ptdq.errors import UserError
from ptdq.parameters import Parameters, make_parameters, names
from ptdq.parameters.json_schema import SCHEMA_FILE, configuration_schema, first_line, text
from tests.support.running import ROOT

ASKED = {"model": "m", "data": "d.csv"}
VALIDATOR = jsonschema.Draft202012Validator(configuration_schema())


def test_the_committed_schema_is_what_the_code_makes() -> None:
    jsonschema.Draft202012Validator.check_schema(configuration_schema())
    assert SCHEMA_FILE.read_text(encoding="utf-8") == text(), "run make schema"


def test_every_parameter_is_there_with_its_meaning() -> None:
    properties = configuration_schema()["properties"]
    assert tuple(properties) == names()
    for name, field in Parameters.model_fields.items():
        assert properties[name]["description"] == field.description


def taken() -> Iterator[Any]:
    """Values of files that are shipped, and some that are written in several ways."""
    for path in (ROOT / "deployments").rglob("*.yaml"):
        for content in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            for deployment in (content or {}).get("deployments") or []:
                if "benchmark.py" in deployment["entrypoint"]:
                    yield deployment.get("parameters", {})
    yield {"target_width": "5%"}
    yield {"target_width": " 2.5 % "}
    yield {"target_width": 0.05}
    yield {"limit": None, "cores": "3,", "variant": ["fp32", "all", "package.module:Class"]}


@pytest.mark.parametrize("values", [*taken()])
def test_what_the_parameters_take_the_schema_takes(values: dict[str, Any]) -> None:
    make_parameters(ASKED | values)
    VALIDATOR.validate(values)


@pytest.mark.parametrize(
    "values",
    [
        {"nonsense": 1},
        {"repeats": 0},
        {"repeats": "many"},
        {"max_length": [2]},
        {"max_length": []},
        {"margin": 1.5},
        {"target_width": "wide"},
        {"target_width": 1},
        {"isolation": "alone"},
        {"cores": 2},
        {"variant": "fp32"},
    ],
)
def test_what_the_parameters_refuse_the_schema_refuses(values: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        make_parameters(ASKED | values)
    assert not VALIDATOR.is_valid(values)


def test_the_first_line_leads_from_the_file_to_the_schema(tmp_path: Path) -> None:
    key = "# yaml-language-server: $schema="
    near, far = first_line(ROOT / "nightly.yaml"), first_line(tmp_path / "nightly.yaml")
    assert ROOT / near.removeprefix(key) == SCHEMA_FILE
    assert far == f"{key}{SCHEMA_FILE.as_uri()}"
