"""What a sharded evaluation is asked for: checked, recorded, and prepared."""

from __future__ import annotations

import math
from pathlib import Path

from ptdq.errors import UserError
from ptdq.evaluation.shards import ShardRequest
from ptdq.host import terminal
from ptdq.inputs.calibration import CalibrationRequest
from ptdq.inputs.checkpoint import Checkpoint
from ptdq.inputs.labels import read_label_map
from ptdq.inputs.load import open_model
from ptdq.inputs.stream import check_beginning, split_documents
from ptdq.measure.run_request import choose_settings
from ptdq.parameters import ALL, DEMO, Parameters, Purpose, names
from ptdq.problem.task import SINGLE, WITH_THRESHOLD, logit
from ptdq.store import evaluation_record
from ptdq.store.disk import file_digest
from ptdq.store.layout import ShardFiles
from ptdq.variants import registry
from ptdq.variants.preparation import Terms, preparation_log, prepare_variant

ASKED = {"model", "data", "variant", "max_length"} | set(
    names(Purpose.EVALUATE, without=[Purpose.UNMEASURED])
)
"""Parameters that decide the result."""


def check(parameters: Parameters, shard_documents: int) -> None:
    """Raises UserError for what a sharded evaluation cannot do."""
    if len(parameters.variant) != 1 or ALL in parameters.variant:
        raise UserError(f"variant: an evaluation takes one, not {', '.join(parameters.variant)}")
    if len(parameters.max_length) != 1:
        raise UserError("max_length: an evaluation takes one")
    if DEMO in (parameters.model, parameters.data) or parameters.limit is not None:
        raise UserError("an evaluation takes a model and a file, and all of its rows (no demo, no limit)")
    if parameters.random_weights:
        raise UserError("random_weights: there is no quality to evaluate")
    if registry.get(parameters.variant[0]).python is not None:
        raise UserError(
            f"variant {parameters.variant[0]} has an environment of its own, and shards are evaluated in "
            "this one; use `ptdq run`"
        )
    if registry.get(parameters.variant[0]).calibrates:
        # A run looks for calibration documents in the data, which are not in memory here.
        raise UserError(
            f"variant {parameters.variant[0]}: those that calibrate are not evaluated in shards, where "
            "it is not checked that they calibrate on other documents; use `ptdq run`"
        )
    if shard_documents < 1:
        raise UserError(f"shard_documents {shard_documents}: a shard has at least one document")


def check_input(parameters: Parameters, shard_documents: int) -> None:
    """Check all that needs no Prefect server: within seconds, before one is started.

    The flow checks the same again, for those who come by a deployment.

    Raises:
        UserError: something is wrong; nothing was written but the cache.
    """
    check(parameters, shard_documents)
    choose_settings(parameters)
    files = ShardFiles(Path(parameters.results_dir) / (parameters.run_id or ".new"))
    checkpoint = read_model(parameters)
    if not files.documents.is_file():
        check_beginning(parameters, task=checkpoint.task or SINGLE)


def whole_batches(shard_documents: int, batch_size: int) -> int:
    """The size of a shard, rounded up to whole batches.

    Else batches would be others than without shards, and with them int8 results.
    """
    return math.ceil(shard_documents / batch_size) * batch_size


def read_model(parameters: Parameters) -> Checkpoint:
    """Find, check and normalize the model; a label map gives the classes of one that names none.

    Raises:
        UserError: the model cannot be used.
    """
    label_map = read_label_map(parameters.label_map)
    return open_model(parameters, [str(index) for index in (label_map or {}).values()])


def begin(
    files: ShardFiles, parameters: Parameters, shard_documents: int, checkpoint: Checkpoint
) -> None:
    """Write the record; an evaluation of the same that was broken off is resumed.

    Raises:
        UserError: the directory is used by something else.
    """
    asked = parameters.model_dump(include=ASKED)
    asked |= {"shard_documents": shard_documents, "model_digest": checkpoint.digest}
    evaluation_record.begin(files, asked)
    terminal.keep(files.log)


def prepare(
    files: ShardFiles, parameters: Parameters, shard_documents: int, checkpoint: Checkpoint
) -> ShardRequest:
    """The artifact, made or found in the cache; the documents in shards; what each shard needs.

    Raises:
        UserError: the model cannot be converted, or the documents do not fit it.
        RunFailed: the process that converts died or exceeded its time limit.
    """
    (variant,), (max_length,) = parameters.variant, parameters.max_length
    task = checkpoint.task or SINGLE
    # First: the artifact is compared with the float model on some of them.
    keep_documents(files, parameters, shard_documents, checkpoint)
    prepared = prepare_variant(
        variant,
        checkpoint,
        choose_settings(parameters),
        CalibrationRequest(None, "", "none", max_length, compare_on=str(files.documents)),
        preparation_log(variant),
        Terms.of(parameters),
    )
    return ShardRequest(
        directory=files.directory,
        artifact=prepared.artifact.directory,
        digest=prepared.artifact.digest,
        settings=prepared.artifact.settings,
        variant=variant,
        max_length=max_length,
        batch_size=parameters.batch_size,
        task=task,
        outputs=1 if task == "binary" else len(checkpoint.class_names),
        cut=logit(parameters.threshold) if task in WITH_THRESHOLD else None,
        recall_at=parameters.recall_at,
    )


def keep_documents(
    files: ShardFiles, parameters: Parameters, shard_documents: int, checkpoint: Checkpoint
) -> None:
    """The documents in shards; made anew where the file is not the one that the record knows.

    Raises:
        UserError: they do not fit the model, or are others than those of shards that are done.
    """
    known = evaluation_record.read(files).documents_digest
    if not files.documents.is_file() or known not in (None, file_digest(files.documents)):
        task = checkpoint.task or SINGLE
        split_documents(parameters, checkpoint.class_names, shard_documents, files.documents, task)
    digest = file_digest(files.documents)
    if known is None:
        evaluation_record.know_documents(files, digest)
    elif known != digest:
        raise UserError(
            f"run_id '{files.run_id}': its documents were damaged, and {parameters.data} is no longer "
            "what they were made of; start a new evaluation"
        )
