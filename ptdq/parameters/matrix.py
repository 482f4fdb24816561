"""The parameters of the flow ``benchmark-matrix``."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ptdq.parameters.checks import MaxLength, distinct, local_path, plain_name


class MatrixParameters(BaseModel):
    """Parameters of the flow ``benchmark-matrix``."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    machine: list[str] = Field(
        description="Machines: deployments of quantization-benchmark, one for each kind of machine.",
        min_length=1,
    )
    model: list[str] = Field(description="Models, as each machine finds them.", min_length=1)
    max_length: list[MaxLength] = Field(
        [128], description="Documents are truncated to this many tokens.", min_length=1
    )
    benchmark: dict[str, Any] = Field(
        description="The other parameters of every run (`ptdq run --help`): data, variant, repeats, …"
    )
    price: dict[str, float] = Field({}, description="Price of an hour of each machine, in any currency.")
    timeout: float | None = Field(
        None,
        gt=0,
        description="Seconds that the matrix may take; then what has not ended is cancelled, and the "
        "rest is reported. One run is limited by its own run_timeout.",
    )
    poll_interval: float = Field(5, gt=0, description="Seconds between two looks at the runs.")
    results_dir: str = Field("results", description="Directory that all machines see.")
    run_id: str | None = Field(
        None,
        description="Name of the matrix; made from the time by default. With that of an earlier one, "
        "only the runs that are missing in it are run, with the same parameters.",
    )

    _distinct = field_validator("machine", "model", "max_length")(distinct)
    _plain_name = field_validator("run_id")(plain_name)
    _local_path = field_validator("results_dir")(local_path)
