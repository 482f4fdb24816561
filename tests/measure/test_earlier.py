"""Which run a new one is compared with, and which of its artifacts are measured again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from ptdq.errors import UserError
from ptdq.host import machine
from ptdq.inputs.checkpoint import Checkpoint
from ptdq.measure.earlier import Earlier, find_earlier, last_good
from ptdq.parameters import make_parameters
from ptdq.store import baseline
from ptdq.store.disk import write_json
from ptdq.store.layout import RunFiles
from ptdq.variants.artifact import FORMAT, MANIFEST, Artifact, content_digest
from ptdq.variants.base import Settings
from ptdq.variants.preparation import PreparedVariant
from tests.support.factory import CLASSES, Factory
from tests.support.runs import make_run

VARIANT = "int8-dynamic"
SETTINGS = Settings("x86")
CHECKPOINT = Checkpoint(
    name="checkpoint", revision=None, digest="ab", directory=Path(), architecture="Bert",
    class_names=list(CLASSES), parameters=1, max_positions=512, random_weights=False,
)  # fmt: skip

Find = Callable[..., Earlier]


def artifact(directory: Path, content: str, settings: Settings = SETTINGS) -> str:
    """Made-up files of an artifact in the cache; their digest."""
    directory.mkdir(parents=True)
    (directory / "weights").write_text(content)
    manifest: dict[str, Any] = {
        "format": FORMAT, "variant": VARIANT, "settings": asdict(settings), "state_dict_bytes": None,
        "converted": ["a"], "kept_float": [], "prepare_seconds": 1.0, "details": {}, "size_bytes": 1,
    }  # fmt: skip
    digest = content_digest(directory, manifest)
    write_json(directory / MANIFEST, manifest | {"digest": digest})
    return digest


def prepared(digest: str) -> dict[str, PreparedVariant]:
    one = Artifact(Path(), VARIANT, SETTINGS, digest, 1, None, [], [], 1.0, {})
    return {"fp32": PreparedVariant(one, cached=True), VARIANT: PreparedVariant(one, cached=True)}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PTDQ_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "artifacts"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def find(results: Path) -> Find:
    """What a new run of the made-up model is compared with."""

    def look(own: str = "new", resuming: bool = False, **parameters: Any) -> Earlier:
        asked = make_parameters(
            {"model": "checkpoint", "data": "test.csv", "max_length": [128]} | parameters
        )
        files = RunFiles(results / "new")
        return find_earlier(asked, files, resuming, prepared(own), CHECKPOINT, lambda text: None)

    return look


def old_run(results: Path, digest: str, run_id: str = "old", **record: Any) -> RunFiles:
    def made(factory: Factory) -> None:
        for row in factory.tables["variants"]:
            row["digest"] = digest

    return make_run(results, run_id, lengths=[128], change=made, record=record)


def test_an_artifact_is_found_by_what_the_run_recorded(cache: Path, results: Path, find: Find) -> None:
    digest = artifact(cache / "one", "of the old run")
    artifact(cache / "other", "of another run")
    old_run(results, digest)
    found = find(baseline="old")
    (again,) = found.artifacts.items()
    assert again[0] == "int8-dynamic@baseline"
    assert again[1].artifact.digest == digest
    assert (found.since, found.not_again) == ("old", {})


def test_the_same_artifact_is_not_measured_twice(cache: Path, results: Path, find: Find) -> None:
    digest = artifact(cache / "one", "the same")
    old_run(results, digest)
    found = find(own=digest, baseline="old")
    assert found.artifacts == {}
    assert found.not_again == {VARIANT: "its artifact is the same, byte for byte"}


def test_an_artifact_that_is_gone_or_changed_is_not_measured(
    cache: Path, results: Path, find: Find
) -> None:
    digest = artifact(cache / "one", "of the old run")
    old_run(results, digest)
    (cache / "one" / "weights").write_text("changed")
    found = find(baseline="old")
    assert found.since == "old"
    assert "no longer in the cache" in found.not_again[VARIANT]
    assert "export" not in found.not_again[VARIANT]


def test_code_of_an_old_artifact_runs_only_where_the_new_run_allows_it(
    cache: Path, results: Path, find: Find
) -> None:
    """Whatever the old run's record says: it is a file that others may have written."""
    digest = artifact(cache / "one", "x", replace(SETTINGS, trust_remote_code=True))
    trusting: dict[str, Any] = {"parameters": {"trust_remote_code": True, "variant": ["fp32", VARIANT]}}
    old_run(results, digest, **trusting)
    assert find(baseline="old").artifacts == {}
    assert len(find(baseline="old", trust_remote_code=True).artifacts) == 1


@pytest.mark.parametrize(
    ("model", "why"),
    [({"labels": ["a", "b"]}, "other classes"), ({"max_positions": 64}, "no more than 64 tokens")],
)
def test_an_artifact_that_cannot_answer_is_not_measured(
    cache: Path, results: Path, find: Find, model: dict[str, Any], why: str
) -> None:
    digest = artifact(cache / "one", "x")
    old_run(results, digest, model={"labels": list(CLASSES), "max_positions": 512} | model)
    assert why in find(baseline="old").not_again[VARIANT]


def test_the_mark_counts_where_nothing_is_named(cache: Path, results: Path, find: Find) -> None:
    old_run(results, artifact(cache / "one", "x"))
    assert find() == Earlier()
    baseline.mark(results, "old")
    assert find().since == "old"
    assert find(baseline="none") == Earlier()
    baseline._path(results).write_text('{"schema_version": 2, "run_id": "gone"}')
    assert find() == Earlier("gone"), "said, and keeps nobody from measuring"
    with pytest.raises(UserError, match="nowhere"):
        find(baseline="nowhere")


def test_a_run_that_goes_on_is_compared_with_what_it_was_to_be(
    cache: Path, results: Path, find: Find
) -> None:
    old_run(results, artifact(cache / "one", "x"))
    old_run(results, "ab", run_id="marked-since")
    baseline.mark(results, "marked-since")
    make_run(results, "new", lengths=[128], record={"since": "old"})
    assert find(resuming=True).since == "old"
    make_run(results, "new", lengths=[128])
    assert find(resuming=True) == Earlier()


def test_the_last_run_that_was_well(
    results: Path, monkeypatch: pytest.MonkeyPatch, find: Find, cache: Path
) -> None:
    monkeypatch.setattr(machine, "cpu_model", lambda: "Imaginary CPU @ 2.80GHz")
    failure = {"variant": "fp32", "max_length": 128, "repeat": 0}
    gate = {"name": "min_speedup", "variant": VARIANT, "threshold": 2, "passed": False}
    nights: list[dict[str, Any]] = [
        {},
        {"status": "broken off"},
        {"failures": [failure]},
        {"gates": [gate]},
        {"baseline": {"old": "night-0", "regressions": ["slower"]}},
        {"machine": {"cpu": "Another CPU"}},
        {"parameters": {"model": "another", "data": "test.csv"}},
    ]
    for day, record in enumerate(nights):
        started = f"2026-11-{10 + day}T02:00:00+00:00"
        make_run(results, f"night-{day}", lengths=[128], record=record | {"started_at": started})
    asked = make_parameters({"model": "checkpoint", "data": "test.csv"})
    found = last_good(results, asked)
    assert found is not None
    assert found.run_id == "night-0"
    assert find(fail_on_regression=True).since == "night-0"
    assert find().since is None
    assert last_good(results, asked.model_copy(update={"data": "other.csv"})) is None
