"""What is shipped can decide what it asks: documents enough for its margin, rounds for an interval."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ptdq.demo.phrases import CLASSES
from ptdq.demo.recipe import Recipe
from ptdq.parameters import DEMO, DEMO_VALUES, make_parameters
from ptdq.statistics.reach import reach
from ptdq.statistics.rounds import MIN_ROUNDS
from tests.support.running import ROOT

ACCURACY = 0.75
"""Less than the demo's model reaches; the fewer are right, the more documents it takes."""


def shipped() -> Iterator[Any]:
    """Parameters of a benchmark that a user gets without asking for any."""
    yield pytest.param(DEMO_VALUES, id="ptdq demo")
    for path in sorted((ROOT / "deployments").rglob("*.yaml")):
        for content in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            for deployment in (content or {}).get("deployments") or []:
                values = deployment.get("parameters") or {}
                if "benchmark" in values:
                    values = values["benchmark"] | {"model": values["model"][0]}
                if values.get("data") == DEMO:
                    yield pytest.param(values, id=name(path, deployment))


def name(path: Path, deployment: dict[str, Any]) -> str:
    return f"{path.relative_to(ROOT)}: {deployment['name']}"


@pytest.mark.parametrize("values", [*shipped()])
def test_what_is_shipped_can_decide(values: dict[str, Any]) -> None:
    parameters = make_parameters(values)
    count = min(parameters.limit or Recipe().test_size, Recipe().test_size)
    labels = np.arange(count) % len(CLASSES)  # the demo's documents, and samples of them, are balanced
    found = reach(labels, ACCURACY, margin=parameters.margin, variants=len(parameters.variant) - 1)
    assert found.decides, f"{found.documents_needed} documents are needed"
    assert parameters.repeats >= MIN_ROUNDS


def nights() -> Iterator[Any]:
    """Parameters of the deployments that run every night."""
    for path in sorted((ROOT / "deployments").rglob("*.yaml")):
        for content in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            for deployment in (content or {}).get("deployments") or []:
                if {"benchmark", "nightly"} <= {*deployment.get("tags", [])}:
                    yield pytest.param(deployment["parameters"], id=name(path, deployment))


@pytest.mark.parametrize("values", [*nights()])
def test_a_regression_fails_a_night(values: dict[str, Any]) -> None:
    assert make_parameters(values).fail_on_regression


def test_every_way_to_run_has_a_night() -> None:
    names = [str(each.id).partition(": ")[2] for each in nights()]
    assert sorted(names) == ["nightly", "nightly-docker", "nightly-kubernetes"]


def test_there_are_some() -> None:
    names = {str(each.id) for each in shipped()}
    assert {n.partition(": ")[2] for n in names} >= {"nightly", "demo", "matrix"}
    assert len(names) >= 6
