"""What a user can ask for: one model for the flow, its form in the Prefect UI, files and options.

A field's name is its key in a configuration file and, with dashes, its option on the command line; its
description is the help text in all of them, and its annotation says what it is for
(:mod:`ptdq.parameters.purpose`). A new parameter is one field of :class:`Parameters`, and the place
that reads it.
"""

from __future__ import annotations

from ptdq.parameters.checks import ALL, RUN_ID, MaxLength, VariantName, distinct, local_path, plain_name
from ptdq.parameters.demo import DEMO, DEMO_VALUES, with_demo
from ptdq.parameters.model import Parameters, names
from ptdq.parameters.purpose import Group, Purpose
from ptdq.parameters.values import (
    command_line,
    default_values,
    make_parameters,
    option_name,
    read_config,
    validated,
)

__all__ = [
    "ALL",
    "DEMO",
    "DEMO_VALUES",
    "RUN_ID",
    "Group",
    "MaxLength",
    "Parameters",
    "Purpose",
    "VariantName",
    "command_line",
    "default_values",
    "distinct",
    "local_path",
    "make_parameters",
    "names",
    "option_name",
    "plain_name",
    "read_config",
    "validated",
    "with_demo",
]
