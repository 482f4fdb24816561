"""What a search tried, in the report; and what a capped run says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ptdq.report import build_report
from ptdq.report.tuning import read_tuning
from tests.support.factory import Factory

TUNING: dict[str, Any] = {
    "minutes": 5.0,
    "seconds": 123.4,
    "documents": 128,
    "cpu": "Imaginary CPU",
    "chosen": "OpenVINO: float32 for the rest, attention float",
    "tried": [
        {
            "candidate": "OpenVINO: float32 for the rest",
            "changed": 0.0,
            "ms": [9.0, 9.5],
            "out": "slower",
        },
        {
            "candidate": "OpenVINO: float32 for the rest, attention float",
            "changed": 0.0078125,
            "ms": [7.0, 7.25, 7.5],
            "out": None,
        },
        {
            "candidate": "AOTInductor: int8-pt2e-static",
            "changed": None,
            "ms": [],
            "out": "no time left to make it",
        },
    ],
}


def report_of(directory: Path, tuning: Any, isa: str | None = None) -> str:
    made = Factory(directory)
    made.tables["variants"][1]["details"] = json.dumps({"tuning": tuning})
    made.record["parameters"]["isa"] = isa
    # Peaks of a newer version, and what a variant's products are in.
    made.record["limits"] = {"float32_gflops": 100.0, "int8_gops": 400.0, "bfloat16_gflops": 200.0} | {
        "rates": [
            {"numbers": "int8", "library": "oneDNN", "shape": [512, 1024, 1024], "gops": 400.0},
            {"numbers": "int8", "library": "OpenVINO", "shape": [128, 768, 3072], "gops": 350.0},
            {"numbers": "float32", "library": "torch", "shape": [128, 768, 3072], "gops": 90.0},
        ]
    }
    return build_report(made.write()).markdown


def test_the_report_says_how_it_was_chosen(tmp_path: Path) -> None:
    text = report_of(tmp_path / "run", TUNING)
    assert "## How `int8-dynamic` was chosen" in text
    assert "| OpenVINO: float32 for the rest | 0.0 % | 9.50 | slower |" in text
    assert "| OpenVINO: float32 for the rest, attention float | 0.8 % | 7.50 | chosen |" in text
    assert "| AOTInductor: int8-pt2e-static | – | – | no time left to make it |" in text
    assert "Searched for 123 s of at most 5 minutes, on 128 calibration documents" in text
    assert "capped" not in text
    assert "bfloat16 200 GFLOP/s" in text
    assert "| 128×768×3072 | 350 (OpenVINO) | 90 (torch) |" in text


def test_a_record_of_another_form_shows_nothing(tmp_path: Path) -> None:
    broken: Any
    for broken in ("text", {"tried": 3}, [], TUNING | {"seconds": "long"}):
        assert read_tuning({"tuning": broken}) is None
    assert "was chosen" not in report_of(tmp_path / "run", {"tried": [{"candidate": 1}]})


@pytest.mark.parametrize("isa", ["avx2"])
def test_a_capped_run_says_so_at_once(tmp_path: Path, isa: str) -> None:
    opening = report_of(tmp_path / "run", TUNING, isa).split("\n## ")[1]
    assert "**Times are of a capped CPU**" in opening
    assert f"`{isa}`" in opening
