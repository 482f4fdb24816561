"""What a user can ask for: one model for the flow, its form in the Prefect UI, files and options.

A field's name is its key in a configuration file and, with dashes, its option on the command line;
its description is the help text in all of them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from ptdq.errors import UserError
from ptdq.variants import registry

if TYPE_CHECKING:
    from ptdq.demo.build import DemoFiles

DEMO = "demo"
"""As model and data: the embedded default, a synthetic corpus and a model trained on it."""

ALL = "all"
"""In place of names of variants: every one that is installed."""

M = TypeVar("M", bound=BaseModel)

MaxLength = Annotated[int, Field(ge=3)]
VariantName = Annotated[str, AfterValidator(lambda name: _check_variant(name))]

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def distinct(value: list[Any]) -> list[Any]:
    """Validates a list in which nothing may stand twice."""
    if len(set(value)) != len(value):
        raise ValueError(f"the same value twice in {value}")
    return value


def plain_name(value: str | None) -> str | None:
    """Validates the name of a directory that is to be made among the results."""
    if value is not None and not RUN_ID.fullmatch(value):
        raise ValueError(
            f"'{value}' is no name for a directory: letters, digits, dots, dashes and "
            "underscores, and no path separator"
        )
    return value


def local_path(value: str) -> str:
    """Validates a directory that is written to."""
    if "://" in value:
        raise ValueError(
            f"'{value}' is a URL, and a run is written to a local path; give publish_to for a copy there"
        )
    return value


class Parameters(BaseModel):
    """Parameters of the flow ``quantization-benchmark``. The defaults are the reference experiment's."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    # What is measured.
    model: str = Field(
        description="Checkpoint directory of a sequence classifier, its id on the model hub, or `demo`."
    )
    data: str = Field(
        description="Labelled documents: CSV, TSV, JSON lines or Parquet; a path, a URL, or `demo`."
    )
    variant: list[VariantName] = Field(
        ["fp32", "int8-dynamic"],
        description="Variants to compare; the first is the baseline. `all`: every one installed, at its "
        "place among others.",
        min_length=1,
    )
    max_length: list[MaxLength] = Field(
        [128, 256, 384], description="Documents are truncated to this many tokens.", min_length=1
    )
    batch_size: int = Field(1, ge=1, description="Documents in a batch, padded to its longest.")

    # The model.
    revision: str | None = Field(None, description="Branch, tag or commit of a model on the hub.")
    random_weights: bool = Field(
        False,
        description="Build the model's shape from a configuration, with random weights: latency and "
        "size are measured, and quality is not claimed.",
    )
    model_loader: str | None = Field(
        None,
        description="package.module:function that takes the model's directory and returns an "
        "nn.Module, for models that transformers does not know.",
    )
    trust_remote_code: bool = Field(
        False, description="Run code that comes with the checkpoint. Only for those you trust."
    )

    # The data.
    text_column: str = Field("text", description="Column with the documents.")
    label_column: str = Field("label", description="Column with the labels: ids or names.")
    label_map: str | None = Field(
        None, description="JSON file that maps labels of the data to class ids of the model."
    )
    encoding: str = Field("utf-8", description="Encoding of a text file (GBK files are common).")
    limit: int | None = Field(None, ge=1, description="Take a stratified sample of this many documents.")
    calibration_data: str | None = Field(
        None,
        description="Documents that static variants take ranges from: a file like `data`, and never "
        "the same; labelled or not. Without it they are left out, or use random token ids where the "
        "weights are random.",
    )

    # Quantization.
    engine: str | None = Field(
        None, description="Quantized engine of torch; the best supported one by default."
    )
    modules: list[str] = Field(
        ["Linear"],
        description="What the dynamic variants convert: module types (Linear, LSTM, GRU, Embedding) "
        "or qualified names.",
        min_length=1,
    )
    keep_float: list[str] = Field(
        [], description="Modules that stay float32, by qualified name or a prefix of it."
    )
    keep_float_mixed: list[str] = Field(
        [],
        description="Modules that int8-dynamic-mixed keeps float32 besides, as `ptdq sensitivity` "
        "found them.",
    )
    granularity: Literal["per-tensor", "per-channel"] = Field(
        "per-tensor", description="One weight scale per tensor, or one per output channel."
    )
    dtype: Literal["qint8", "float16"] = Field(
        "qint8",
        description="Weights of int8-dynamic. With float16 it is the variant float16-dynamic.",
    )

    # The measurement.
    repeats: int = Field(4, ge=1, description="Rounds of fresh processes.")
    warmup: int = Field(3, ge=0, description="Warm-up batches of a cell; kept, flagged, not counted.")
    cores: str | None = Field(
        None,
        description="Cores to use: how many, or which ones, as in 0,1 (a single one: 3,). By default as "
        "many of the usable ones as give every comparison an interval with these repeats.",
    )
    isolation: Literal["parallel", "solo"] = Field(
        "parallel", description="A cell on every core at a time, or one on the whole machine."
    )
    control_documents: int = Field(
        16,
        ge=0,
        description="Documents of the control, in which each variant runs with the other cores idle.",
    )
    seed: int = Field(0, ge=0, description="Seed of samples, orders and resampling.")
    cell_timeout: float = Field(3600, gt=0, description="Seconds that one cell may take.")
    run_timeout: float | None = Field(None, gt=0, description="Seconds that the run may take.")
    max_wait: float | None = Field(
        None,
        ge=0,
        description="Seconds to wait for another benchmark on this machine to end; 0: fail at once.",
    )
    max_load: float = Field(
        0.2,
        ge=0,
        description="Share of a core that other programs may use; beyond it the run waits, and is "
        "flagged if that does not help.",
    )
    load_wait: float = Field(10, ge=0, description="Seconds to wait for other programs; 0: only flag.")

    # The verdict.
    margin: float = Field(
        0.99,
        gt=0,
        le=1,
        description="Share of the baseline's weighted F1 that a variant must keep.",
    )
    min_speedup: float | None = Field(None, gt=0, description="Gate: smallest speed-up.")
    max_f1_drop: float | None = Field(None, ge=0, description="Gate: largest drop in weighted F1.")
    max_size_ratio: float | None = Field(
        None, gt=0, description="Gate: largest size of the artifact, relative to the baseline's."
    )
    max_p95_ms: float | None = Field(
        None, gt=0, description="Gate: largest 95th percentile of forward latency, ms."
    )

    baseline: str | None = Field(
        None,
        description="Earlier run to report the change from: its id, or `none`. By default the one that "
        "`ptdq baseline` marked, if any.",
    )

    # Where things go.
    results_dir: str = Field("results", description="Directory that gets a directory for each run.")
    publish_to: str | None = Field(
        None,
        description="Where report and tables of the finished run are copied to: a path or any URL that "
        "fsspec opens (s3://bucket/results), which `ptdq history` and `ptdq compare` read.",
    )
    run_id: str | None = Field(None, description="Name of the run; made from the time by default.")
    no_cache: bool = Field(False, description="Prepare artifacts anew, whatever is in the cache.")

    _distinct = field_validator("variant", "max_length", "modules")(distinct)
    _plain_name = field_validator("run_id")(plain_name)
    _local_path = field_validator("results_dir")(local_path)

    @model_validator(mode="after")
    def _apply_dtype(self) -> Self:
        if self.dtype == "float16" and "int8-dynamic" in self.variant:
            names = ["float16-dynamic" if v == "int8-dynamic" else v for v in self.variant]
            object.__setattr__(self, "variant", list(dict.fromkeys(names)))
        return self


def _check_variant(name: str) -> str:
    """The name, if there is such a variant; pydantic expects ValueError where there is not."""
    try:
        return name if name == ALL else registry.check_name(name)
    except UserError as error:
        raise ValueError(str(error)) from error


DEMO_VALUES: dict[str, Any] = {
    "model": DEMO,
    "data": DEMO,
    "max_length": [192],
    "limit": 400,
    "control_documents": 8,
}
"""Parameters of ``ptdq demo``: small enough for three minutes on two cores."""


def with_demo(parameters: Parameters, make: Callable[[], DemoFiles]) -> Parameters:
    """The same with ``demo`` replaced by the files of the embedded default, made if it is asked for.

    What calibrates or chooses does so on its training documents.
    """
    if DEMO not in (parameters.model, parameters.data):
        return parameters
    files = make()
    values: dict[str, Any] = {}
    if parameters.model == DEMO:
        values["model"] = str(files.model)
    if parameters.data == DEMO:
        values["data"] = str(files.data)
        values["calibration_data"] = parameters.calibration_data or str(files.calibration)
    return parameters.model_copy(update=values)


def default_values() -> dict[str, Any]:
    """The default of each parameter that has one."""
    fields = Parameters.model_fields.items()
    return {name: field.default for name, field in fields if not field.is_required()}


def command_line(parameters: Parameters) -> str:
    """The command that asks for the same: what differs from the defaults."""
    words = ["ptdq", "run"]
    defaults = default_values()
    for name, value in parameters.model_dump().items():
        option = f"--{name.replace('_', '-')}"
        if (name in defaults and value == defaults[name]) or name == "run_id":
            continue
        if isinstance(value, list):
            words += [word for item in value for word in (option, str(item))]
        elif value is True:
            words.append(option)
        else:
            words += [option, str(value)]
    return shlex.join(words)


def make_parameters(values: dict[str, Any]) -> Parameters:
    """Validated parameters of the benchmark.

    Raises:
        UserError: a value is missing, unknown or wrong; names the first such parameter.
    """
    return validated(Parameters, values)


def validated(kind: type[M], values: dict[str, Any]) -> M:
    """Validated parameters of any flow.

    Raises:
        UserError: a value is missing, unknown or wrong; names the first such parameter.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"]) or "parameters"
            name = re.sub(r"\.(\d+)$", r"[\1]", name)
            text = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "missing":
                text = f"is required (--{name.replace('_', '-')}, or `{name}:` in the config file)"
            elif problem["type"] == "extra_forbidden":
                text = f"no such parameter; there are {', '.join(kind.model_fields)}"
            problems.append(f"{name}: {text}")
        raise UserError("; ".join(problems)) from error


def read_config(path: Path) -> dict[str, Any]:
    """Parameters from a YAML or JSON file.

    Raises:
        UserError: the file is missing, unreadable or holds no mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"config file {path}: {error}") from error
    except yaml.YAMLError as error:
        raise UserError(f"config file {path}: not valid YAML ({error})".replace("\n", " ")) from error
    if not isinstance(values, dict):
        raise UserError(f"config file {path}: expected a mapping of parameters to values")
    return {str(key).replace("-", "_"): value for key, value in values.items()}
