"""A configuration file as JSON Schema, for editors: ``python -m ptdq.parameters.json_schema``.

Made from the one model of parameters. The file lies beside this one and comes with the package; the first
line of a configuration names it: ``# yaml-language-server: $schema=…``.
"""

from __future__ import annotations

import json
import typing
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from ptdq.parameters.checks import ALL, Share
from ptdq.parameters.model import Parameters
from ptdq.variant_names import BUILT_IN

SCHEMA_FILE = Path(__file__).with_name("configuration.schema.json")

_SHARE = [
    {"type": "string", "pattern": r"^\s*(\d+\.?\d*|\.\d+)\s*%\s*$"},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "null"},
]
"""A share or per cent; pydantic does not see through the validator that reads the latter."""


class Untitled(GenerateJsonSchema):
    """Without a title for each field, which would only be its name again."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def configuration_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a configuration file.

    Nothing is required: model and data may be given on the command line. Names of variants are offered,
    and others taken, since packages may add some.
    """
    made = Parameters.model_json_schema(schema_generator=Untitled)
    del made["required"], made["description"]
    properties = made["properties"]
    for name, field in Parameters.model_fields.items():
        if Share in typing.get_args(field.annotation):
            properties[name]["anyOf"] = _SHARE
    properties["variant"]["items"] = {"anyOf": [{"enum": [*BUILT_IN, ALL]}, {"type": "string"}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:ptdq:configuration",
        **made,
        "title": "Configuration of a ptdq run",
    }


def first_line(file: Path) -> str:
    """The comment by which editors find the schema, for a configuration that lies at ``file``.

    Relative where the package lies below the file's directory, as in an environment of the project, so
    that it holds for whoever has the same.
    """
    directory, schema = file.resolve().parent, SCHEMA_FILE.resolve()
    below = schema.is_relative_to(directory)
    place = schema.relative_to(directory).as_posix() if below else schema.as_uri()
    return f"# yaml-language-server: $schema={place}"


def text() -> str:
    """What the file holds."""
    return json.dumps(configuration_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(text(), encoding="utf-8")
