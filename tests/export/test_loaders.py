"""An exported artifact, loaded by a process that knows nothing of ptdq, predicts what the run did."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptdq.export.build import export
from ptdq.store.layout import RunFiles
from ptdq.store.tables import read_table
from ptdq.variants import registry
from tests.conftest import CLASSES
from tests.support.artifacts import whole
from tests.support.running import run_flow

pytestmark = [pytest.mark.slow, pytest.mark.long]
RUNTIMES = {"torch", "torchao", "onnxruntime", "openvino"}
EAGER = {"numpy", "safetensors", "torch", "transformers"}
# One of each loader, of the dynamic ones that with tables as well; to what each may need. What PT2E
# makes is loaded as fp32-compiled.
NEEDS = {
    "fp32": EAGER,
    "int8-dynamic-embeddings": EAGER,
    "bfloat16": EAGER,
    "int8-torchao": EAGER | {"torchao"},
    "fp32-compiled": {"numpy", "torch", "transformers"},
    "onnx-int8-dynamic": {"numpy", "onnxruntime", "transformers"},
    "openvino-fp32": {"numpy", "openvino", "transformers"},
    "int8-best": {"numpy", "openvino", "transformers"},
}
INSTALLED = [v for v in NEEDS if v in registry.names() and not registry.missing_packages(registry.get(v))]
QUICK = [v for v in INSTALLED if v in ("fp32", "int8-dynamic-embeddings", "onnx-int8-dynamic")]
OTHERS = [v for v in INSTALLED if v not in QUICK]
"""They take minutes to prepare."""


@pytest.fixture(scope="module")
def measured(
    request: pytest.FixtureRequest,
    prefect_server: str,
    tiny_model: Path,
    tiny_data: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> RunFiles:
    """One run of variants that can be exported here."""
    results = tmp_path_factory.mktemp("results")
    calibration = tmp_path_factory.mktemp("calibration") / "others.csv"
    calibration.write_text("text\n球队新车\n医生建议学校放假\n部队\n", encoding="utf-8")
    state = run_flow(
        model=str(tiny_model),
        data=str(tiny_data),
        variant=request.param,
        calibration_data=str(calibration),
        max_length=[16],
        repeats=1,
        control_documents=0,
        load_wait=0,
        results_dir=str(results),
        run_id="measured",
    )
    assert state.is_completed(), state.message
    return RunFiles(results / "measured")


@pytest.mark.parametrize(
    ("measured", "variant"),
    [
        *(pytest.param(QUICK, variant, id=variant) for variant in QUICK),
        *(pytest.param(OTHERS, variant, id=variant, marks=pytest.mark.long) for variant in OTHERS),
    ],
    indirect=["measured"],
    scope="module",
)
def test_a_clean_process_predicts_what_the_run_did(
    variant: str, measured: RunFiles, tmp_path: Path
) -> None:
    out = export(measured, variant, tmp_path / "out")
    assert whole(out / "artifact")
    required = (out / "requirements.txt").read_text(encoding="utf-8")
    assert set(re.findall(r"^(\w+)==\d[\w.]*$", required, re.MULTILINE)) == NEEDS[variant]

    documents = read_table(measured.table("documents")).to_pydict()
    rows = read_table(measured.table("predictions")).to_pandas()
    rows = rows[(rows.variant == variant) & ~rows.warmup].set_index("doc_id").loc[documents["doc_id"]]
    found = predict(out, documents["text"], RUNTIMES - NEEDS[variant], tmp_path)
    assert {"load", "runtime"} <= set(found["modules"])
    assert not {"tasks", "flows", "prefect"} & set(found["modules"])
    assert RUNTIMES & set(found["modules"]) == RUNTIMES & NEEDS[variant]
    assert np.array_equal(np.array(found["logits"], np.float32), np.stack(rows.logits.to_list()))
    assert found["classes"] == [CLASSES[index] for index in rows.prediction]
    assert len(set(found["classes"])) > 1


def predict(out: Path, texts: list[str], hidden: set[str], scratch: Path) -> dict[str, Any]:
    """Logits and classes, from a process elsewhere that finds the export, and packages but these."""
    site, elsewhere = scratch / "site", scratch / "elsewhere"
    site.mkdir()
    elsewhere.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if re.split(r"[\W_]", path.name.strip("_"))[0] not in {*hidden, "editable", "ptdq", "prefect"}:
            (site / path.name).symlink_to(path)
    done = subprocess.run(
        [sys.executable, "-I", "-S", Path(__file__).parents[1] / "support" / "clean.py", out, site],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        cwd=elsewhere,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
