"""Each architecture on each variant: it works, or is refused by one line before any work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from ptdq.inputs.source import Source
from ptdq.store.disk import read_json
from ptdq.variant_names import BUILT_IN
from ptdq.variants import registry
from ptdq.variants.artifact import MANIFEST
from tests.variants.matrix import (
    BLOCK_SPARSE,
    COMPILED,
    FAILED,
    OK,
    REFUSED,
    RESULTS,
    TRIED,
    declared,
    main,
    pairs,
    save,
    table,
    try_pair,
)

QUICK = (
    ("deberta-v2", "int8-dynamic-embeddings"),
    ("modernbert", "onnx-int8-dynamic"),
    ("convbert", "openvino-int8-static"),
)
NOT_COMPILED = [name for name in BUILT_IN if name not in COMPILED]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    """Models by family, made when they are asked for."""
    scratch = tmp_path_factory.mktemp("zoo")

    class Saved(dict[str, Source]):
        def __missing__(self, family: str) -> Source:
            self[family] = save(scratch / family, family)
            return self[family]

    return Saved()


def check(source: Source, family: str, variant: str, target: Path) -> None:
    if missing := registry.missing_packages(registry.get(variant)):
        pytest.skip(f"needs {', '.join(missing)}")
    result, why = try_pair(source, variant, target)
    reason = declared(family, variant)
    if reason is None:
        assert (result, why) == (OK, "")
        return
    assert result == REFUSED
    assert why == f"variant {variant} cannot take a model of the family {family}: {reason}"
    # It says what to use instead.
    assert re.search(r"; use \S+", why)
    assert not target.exists()


@pytest.mark.slow
@pytest.mark.parametrize(("family", "variant"), QUICK)
def test_some_architectures(family: str, variant: str, saved: dict[str, Source], tmp_path: Path) -> None:
    check(saved[family], family, variant, tmp_path / "made")


def test_of_gpt2_more_than_the_head_is_converted(saved: dict[str, Source], tmp_path: Path) -> None:
    """Its linear layers are of a class of their own, with weights the other way round."""
    assert try_pair(saved["gpt2"], "int8-dynamic", tmp_path / "made") == (OK, "")
    converted = read_json(tmp_path / "made" / MANIFEST)["converted"]
    layers = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    assert {f"transformer.h.{n}.{layer}" for n in range(2) for layer in layers} <= set(converted)


@pytest.mark.parametrize("family", ["longformer", "funnel", BLOCK_SPARSE, "t5", "bart"])
def test_refusals_come_before_any_work(family: str, saved: dict[str, Source], tmp_path: Path) -> None:
    refusing = [name for name in BUILT_IN if declared(family, name)]
    assert refusing
    for variant in refusing:
        check(saved[family], family, variant, tmp_path / "made")


@pytest.mark.long
@pytest.mark.parametrize("variant", NOT_COMPILED)
@pytest.mark.parametrize("family", TRIED)
def test_every_architecture(family: str, variant: str, saved: dict[str, Source], tmp_path: Path) -> None:
    check(saved[family], family, variant, tmp_path / "made")


@pytest.mark.long
@pytest.mark.parametrize("variant", COMPILED)
@pytest.mark.parametrize("family", TRIED)
def test_compiled(family: str, variant: str, saved: dict[str, Source], tmp_path: Path) -> None:
    check(saved[family], family, variant, tmp_path / "made")


def test_what_was_tried_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run goes on where the last one ended, and begins nothing after its time."""
    monkeypatch.setenv("PTDQ_CACHE", str(tmp_path / "cache"))
    rows = tmp_path / "rows.json"
    asked = ["--family", "bert", "--variant", "fp32", "--rows", str(rows), "--missing"]
    run = CliRunner().invoke
    assert "560 pairs are left" in run(main, [*asked, "--seconds", "0"]).stderr
    assert not rows.exists()
    assert "bert fp32 ok" in run(main, asked).stderr
    first = read_json(rows)
    again = run(main, [*asked, "--variant", "int8-dynamic"])
    assert again.exit_code == 0, again.stderr
    assert "bert fp32 " not in again.stderr
    assert "558 pairs are left" in again.stderr
    assert read_json(rows)["rows"][0] == first["rows"][0]


def test_compiled_pairs_come_last() -> None:
    found = pairs(TRIED, [*BUILT_IN])
    assert len(set(found)) == len(found) == len(TRIED) * len(BUILT_IN)
    assert {variant for _, variant in found[-len(TRIED) * len(COMPILED) :]} == set(COMPILED)


def test_what_the_docs_show_is_what_variants_say() -> None:
    """A pair that is refused is declared so, and none failed; nothing of another name is shown."""
    rows = read_json(RESULTS)["rows"]
    assert {row["family"] for row in rows} <= set(TRIED)
    assert {row["variant"] for row in rows} <= set(BUILT_IN)
    assert [row for row in rows if row["result"] == FAILED] == []
    for row in rows:
        assert (row["result"] == REFUSED) == (declared(row["family"], row["variant"]) is not None), row


def test_the_table_has_every_architecture_and_variant() -> None:
    lines = table({"rows": []}).splitlines()
    assert len(lines) >= 2 + len(TRIED)
    assert all(f"`{name}`" in lines[0] for name in BUILT_IN)
    row = {"family": "t5", "variant": "fp32", "result": REFUSED, "why": "for a <reason>"}
    shown = table({"rows": [row]})
    assert "refused [1]" in shown
    assert "1. for a &lt;reason>" in shown
