"""Try architectures on variants, and keep what came of it: ``python -m tests.variants.matrix``.

Every pair is tried at tiny size, in this process: refused by a line before any work, or prepared, loaded
again and compared with the float model on documents one by one and in a batch, as any run does it. What
was tried before is kept until it is tried again. All pairs take an hour or two on two cores: the variants
that Inductor compiles take longest, and come last.

In pieces: ``--missing --seconds 600`` begins no pair after ten minutes, and goes on where the last one
ended. Each row is written when it is known: ended by a signal, it loses the pair at work and no other.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click
from torch import nn
from transformers.utils.logging import disable_progress_bar

from ptdq.errors import UserError, line_of
from ptdq.host.software import git_commit
from ptdq.inputs.arrays import Calibration
from ptdq.inputs.calibration import CalibrationRequest, read_calibration
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.inputs.examples import read_examples
from ptdq.inputs.source import Source
from ptdq.store.disk import read_json, write_json
from ptdq.store.record_file import now
from ptdq.variant_names import BUILT_IN
from ptdq.variants import registry
from ptdq.variants.artifact import make_artifact
from ptdq.variants.base import Settings
from ptdq.variants.engines import choose_engine
from tests.support.architectures import CLASSES
from tests.support.zoo import FAMILIES, save_family

RESULTS = Path(__file__).parent / "architectures.json"
BLOCK_SPARSE = "big_bird, block sparse"
TRIED = (*FAMILIES, BLOCK_SPARSE)
COMPILED = (
    "fp32-compiled",
    "bfloat16-compiled",
    "int8-pt2e-dynamic",
    "int8-pt2e-static",
    "int8-mixed-bf16",
)
"""By Inductor, a C++ compilation each."""
OK, REFUSED, FAILED = "ok", "refused", "failed"
_LENGTH = 24
_CALIBRATION = 16
"""Documents to calibrate on: what they cost is most of a static variant's time, and what ranges they
give says nothing here."""
_NAMES = {
    "bert": "BERT", "roberta": "RoBERTa", "xlm-roberta": "XLM-R", "camembert": "CamemBERT",
    "distilbert": "DistilBERT", "electra": "ELECTRA", "albert": "ALBERT", "mpnet": "MPNet",
    "mobilebert": "MobileBERT", "squeezebert": "SqueezeBERT", "ernie": "ERNIE",
    "modernbert": "ModernBERT", "deberta": "DeBERTa v1", "deberta-v2": "DeBERTa v2, v3",
    "xlnet": "XLNet", "convbert": "ConvBERT",
    "rembert": "RemBERT", "qwen2": "Qwen2", "qwen3": "Qwen3", "llama": "Llama", "gemma3_text": "Gemma3",
    "gpt2": "GPT2", "t5": "T5", "bart": "BART", "longformer": "Longformer", "funnel": "Funnel",
    "big_bird": "BigBird", BLOCK_SPARSE: "BigBird, block sparse",
}  # fmt: skip


def save(directory: Path, family: str) -> Source:
    """The tiny model of a family, as a run reads it."""
    if family == BLOCK_SPARSE:
        save_family(
            directory, "big_bird", attention_type="block_sparse", block_size=4, num_random_blocks=1
        )
    else:
        save_family(directory, family)
    return open_checkpoint(str(directory), labels=CLASSES).source


def try_pair(source: Source, variant_name: str, target: Path) -> tuple[str, str]:
    """What comes of a variant of a model: ok, refused or failed; and the line that says why."""
    variant = registry.get(variant_name)
    settings = Settings(
        choose_engine(None), keep_float_mixed=(head(source),) if variant.takes_mixed else ()
    )
    try:
        registry.check_takes(variant_name, source.family())
        calibration = _calibration(source) if variant.calibrates else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # exporters have many, as in the child that prepares
            # No longer than what it is calibrated on, as in any run.
            examples = read_examples(source, None, _LENGTH)
            make_artifact(variant, source, settings, calibration, target, examples)
    except UserError as error:
        return REFUSED, str(error)
    except Exception as error:  # whatever a library raises: that is what is looked for
        return FAILED, line_of(error)
    return OK, ""


def _calibration(source: Source) -> Calibration:
    found = read_calibration(source, CalibrationRequest(None, "", "random text", _LENGTH))
    return Calibration(found.inputs[:_CALIBRATION], found.origin)


def head(source: Source) -> str:
    """The last linear layer: what the mixed variant keeps in float."""
    names: list[str] = [
        name for name, module in source.skeleton().named_modules() if isinstance(module, nn.Linear)
    ]
    return names[-1]


def declared(family: str, variant_name: str) -> str | None:
    """Why the variant says that it cannot take the family; None where it can."""
    return registry.get(variant_name).refuses.get(family)


def table(found: Mapping[str, Any]) -> str:
    """What came of all pairs, in Markdown, with the reasons below."""
    rows = {(row["family"], row["variant"]): row for row in found["rows"]}
    reasons: dict[str, int] = {}

    def cell(family: str, variant: str) -> str:
        row = rows.get((family, variant))
        if row is None:
            return "not run"
        if row["result"] == OK:
            return "ok"
        why = row["why"].split(f"of the family {family}: ")[-1]
        return f"{row['result']} [{reasons.setdefault(why, len(reasons) + 1)}]"

    lines = [["architecture", *(f"`{name}`" for name in BUILT_IN)], ["---"] * (1 + len(BUILT_IN))]
    lines += [[_NAMES[family], *(cell(family, name) for name in BUILT_IN)] for family in TRIED]
    notes = [f"{number}. {_escaped(why)}" for why, number in reasons.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n\n" + "\n".join(notes)


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")


def summary(found: Mapping[str, Any]) -> str:
    """How many pairs were run, when and at which commits."""
    rows = found["rows"]
    days = sorted({row["at"][:10] for row in rows})
    commits = sorted({str(row["git_commit"])[:7] for row in rows})
    dirty = any(str(row["git_commit"]).endswith("-dirty") for row in rows)
    unsaved = ", with uncommitted changes" if dirty else ""
    counts = {result: sum(row["result"] == result for row in rows) for result in (OK, REFUSED, FAILED)}
    return (
        f"{len(rows)} of {len(TRIED) * len(BUILT_IN)} pairs were run, {' and '.join(days)}, at commit "
        f"{', '.join(f'`{commit}`' for commit in commits)}{unsaved}: "
        f"{counts[OK]} ok, {counts[REFUSED]} refused, "
        f"{counts[FAILED]} failed."
    )


def pairs(families: Sequence[str], variants: Sequence[str]) -> list[tuple[str, str]]:
    """Of each family the quick variants one after the other; then, of each, those that are compiled."""
    return [
        (family, variant)
        for compiled in (False, True)
        for family in families
        for variant in variants
        if (variant in COMPILED) == compiled
    ]


def run(todo: Iterable[tuple[str, str]], scratch: Path, keep: Callable[[dict[str, Any]], None]) -> None:
    """Try pairs one after the other, each model made once; ``keep`` gets each row when it is known."""
    model = cache(lambda family: save(scratch / "models" / family, family))
    for family, variant in todo:
        click.echo(f"{family} {variant}", err=True, nl=False)  # before: a crash of a library names itself
        begun, made = time.monotonic(), scratch / "made"
        result, why = try_pair(model(family), variant, made)
        shutil.rmtree(made, ignore_errors=True)
        click.echo(f" {result} {why} ({time.monotonic() - begun:.0f} s)", err=True)
        keep(
            {
                "family": family, "variant": variant, "result": result, "why": why,
                "at": now(), "git_commit": git_commit(),
            }
        )  # fmt: skip


@click.command()
@click.option("--family", "families", multiple=True, type=click.Choice(TRIED), help="Default: all.")
@click.option(
    "--variant", "variants", multiple=True, type=click.Choice([*BUILT_IN]), help="Default: all."
)
@click.option("--missing", is_flag=True, help="Those alone that were not run yet.")
@click.option("--seconds", type=float, default=float("inf"), help="Begin no pair later than this.")
@click.option(
    "--rows",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=RESULTS,
    help="The file of rows. Default: that of the docs.",
)
def main(
    families: Sequence[str], variants: Sequence[str], missing: bool, seconds: float, path: Path
) -> None:
    """Try pairs, and keep the rows in a file: that of the docs, if no other is named."""
    rows = read_json(path)["rows"] if path.is_file() else []
    found = {(row["family"], row["variant"]): row for row in rows}
    todo = [
        pair
        for pair in pairs(families or TRIED, variants or [*BUILT_IN])
        if not missing or pair not in found
    ]
    end = time.monotonic() + seconds
    disable_progress_bar()  # one for each model that is saved would be in the midst of a line

    def keep(row: dict[str, Any]) -> None:
        found[row["family"], row["variant"]] = row
        order = sorted(
            found.values(),
            key=lambda row: (TRIED.index(row["family"]), [*BUILT_IN].index(row["variant"])),
        )
        write_json(path, {"rows": order})

    with tempfile.TemporaryDirectory(prefix="ptdq-architectures-") as scratch:
        os.environ["PTDQ_CACHE"] = str(Path(scratch) / "cache")
        run((pair for pair in todo if time.monotonic() < end), Path(scratch), keep)
    left = sum(pair not in found for pair in pairs(TRIED, [*BUILT_IN]))
    click.echo(f"{left} pairs are left", err=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was made on the way goes as well
    main()
