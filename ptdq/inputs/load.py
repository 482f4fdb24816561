"""What a run starts from: the documents and the model that the parameters name, read and checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from ptdq.errors import UserError
from ptdq.inputs import documents
from ptdq.inputs.calibration import CalibrationRequest, check_apart
from ptdq.inputs.checkpoint import Checkpoint, open_checkpoint
from ptdq.inputs.documents import Documents, RawDocuments
from ptdq.inputs.grouping import group_names
from ptdq.inputs.hub_data import read_split
from ptdq.inputs.label_lists import ListColumn
from ptdq.inputs.labels import read_label_map
from ptdq.inputs.shared import any_shared, shared_documents, shared_words
from ptdq.inputs.stream import read_frames
from ptdq.inputs.targets import store_targets
from ptdq.parameters import Parameters
from ptdq.problem.task import (
    MEASURES,
    OF_CLASSES,
    SINGLE,
    Found,
    choose_task,
    logit,
    main_measure,
    names_of,
)
from ptdq.statistics.duplicates import Shared

PIECE = 10_000
"""Rows that are read at once for the column of groups."""


@dataclass(frozen=True)
class Loaded:
    """The model, and the documents with its class ids.

    Attributes:
        shared: what the documents have in common with those of the calibration; None without any.
    """

    checkpoint: Checkpoint
    documents: Documents
    calibration: CalibrationRequest
    shared: Shared | None = None

    @property
    def warning(self) -> str | None:
        """What is wrong with the documents, though a run can be made with them; None where nothing is."""
        if self.shared is None or not any_shared(self.shared):
            return None
        return (
            f"calibration_data: {shared_words(self.shared)}; ranges taken from them flatter the static "
            "variants"
        )


def read_data(parameters: Parameters) -> RawDocuments:
    """Read and check the labelled documents.

    Raises:
        UserError: something is wrong with the file.
    """
    raw = documents.read_documents(
        parameters.data,
        text_column=parameters.text_columns,
        label_column=parameters.label_columns or ListColumn(parameters.label_column),
        encoding=parameters.encoding,
        limit=parameters.limit,
        seed=parameters.seed,
        split=parameters.split,
    )
    return raw if parameters.group_column is None else _with_groups(parameters, raw)


def _with_groups(parameters: Parameters, raw: RawDocuments) -> RawDocuments:
    """The documents with the names of their groups, for which the file is read again, piece by piece."""
    names: list[str] = []
    column = str(parameters.group_column)
    if parameters.split is not None:
        frames = iter([read_split(parameters.data, parameters.split)])
    else:
        frames = read_frames(parameters.data, parameters.encoding, PIECE, {column: "--group-column"})
    for frame in frames:
        names += group_names(frame, raw.name, column, len(names) + 1)
    rows = [int(name.split("-")[0]) for name in raw.ids]
    if max(rows) > len(names):
        raise UserError(f"{raw.name}: it became shorter while it was read")
    return replace(raw, groups=[names[row - 1] for row in rows])


def read_model(parameters: Parameters, raw: RawDocuments) -> Loaded:
    """Find, check and normalize the model; match the labels of the data to its classes.

    Raises:
        UserError: the model cannot be used, or does not fit the data or the maximum lengths.
    """
    label_map = read_label_map(parameters.label_map)
    labels = list(raw.known_labels()) if label_map is None else [str(i) for i in label_map.values()]
    checkpoint = open_model(parameters, labels)
    task = checkpoint.task or SINGLE
    if task in OF_CLASSES:
        if raw.list_rows:
            raise documents.no_labels(raw.name, parameters.label_column, raw.list_rows)
        ids = documents.class_ids(raw, checkpoint.class_names, label_map)
        stored = documents.store_documents(raw, ids, checkpoint.class_names)
    else:
        stored = store_targets(raw, task, checkpoint.class_names)
    stored = replace(stored, task=task)
    calibration = calibration_for(parameters, checkpoint, raw)
    shared = None
    if calibration.documents is not None:
        shared = shared_documents(Path(calibration.documents), stored.path)
    return Loaded(checkpoint, stored, replace(calibration, compare_on=str(stored.path)), shared)


def open_model(parameters: Parameters, labels: Sequence[str]) -> Checkpoint:
    """Find, check and normalize the model.

    Args:
        parameters: of the flow.
        labels: of the data; they give the classes of a model that names none.

    Raises:
        UserError: the model cannot be used, or does not fit the maximum lengths.
    """
    checkpoint = open_checkpoint(
        parameters.model,
        labels=labels,
        revision=parameters.revision,
        random_weights=parameters.random_weights,
        loader=parameters.model_loader,
        trust_remote_code=parameters.trust_remote_code,
        seed=parameters.seed,
    )
    if checkpoint.pairs and parameters.text_pair_column is None:
        raise UserError(
            f"text_pair_column: model {checkpoint.name} was trained on pairs of texts "
            f"({checkpoint.pairs}), and one column of texts is named; name the second one "
            "(--text-pair-column COLUMN), or say that single texts are meant (--text-pair-column none)"
        )
    checkpoint = with_task(checkpoint, parameters)
    longest = max(parameters.max_length)
    if checkpoint.max_positions is not None and longest > checkpoint.max_positions:
        raise UserError(
            f"max_length {longest}: model {checkpoint.name} has {checkpoint.max_positions} positions; "
            "take a smaller --max-length"
        )
    if parameters.batch_size > 1:
        _check_pads(checkpoint, parameters.batch_size)
    keeps = {name: getattr(parameters, name) for name in ("keep_float", "keep_float_mixed")}
    if any(keeps.values()):
        modules = [name for name, _ in checkpoint.source.skeleton().named_modules() if name]
        for parameter, names in keeps.items():
            check_module_names(parameter, names, modules)
    return checkpoint


def _check_pads(checkpoint: Checkpoint, batch_size: int) -> None:
    """Raises UserError, with what to write where, for a model that has no token to pad a batch with."""
    if checkpoint.pads:
        return
    tokenizer = checkpoint.source.tokenizer()
    token, index = tokenizer.pad_token, tokenizer.pad_token_id
    if token is None:
        token, index = tokenizer.eos_token, tokenizer.eos_token_id
    raise UserError(
        f"batch_size {batch_size}: the documents of a batch are padded, and model {checkpoint.name} does "
        f'not say with what; write "pad_token": {json.dumps(token)} into its tokenizer_config.json and '
        f'"pad_token_id": {json.dumps(index)} into its config.json, or take --batch-size 1'
    )


def with_task(checkpoint: Checkpoint, parameters: Parameters) -> Checkpoint:
    """The model with the task that it is measured at, and the names of its classes for that.

    Raises:
        UserError: nobody says which, or it does not go with the other parameters.
    """
    asked = parameters.task
    if checkpoint.loader is not None and asked not in (None, SINGLE):
        raise UserError(f"task {asked}: with model_loader, {SINGLE} is the only one")
    names, found = checkpoint.class_names, Found(checkpoint.task, checkpoint.task_why)
    task = SINGLE if checkpoint.loader else choose_task(checkpoint.name, len(names), found, asked)
    if task not in OF_CLASSES and parameters.max_f1_drop is not None:
        raise UserError(
            f"max_f1_drop: the task {task} has no weighted F1; --max-quality-drop is about "
            f"{MEASURES[task][main_measure(task)].words}"
        )
    if task in ("regression", "rerank") and parameters.max_recall_drop is not None:
        raise UserError(f"max_recall_drop: the task {task} has no classes; see --max-quality-drop")
    if task not in OF_CLASSES and parameters.label_map is not None:
        raise UserError(f"label_map: it maps to classes, of which the task {task} has none")
    if task == "rerank":
        _check_rerank(parameters)
    why = "asked for" if asked else checkpoint.task_why
    return replace(checkpoint, task=task, task_why=why, class_names=names_of(task, names))


def _check_rerank(parameters: Parameters) -> None:
    """Raises UserError where the other parameters do not go with the task rerank."""
    if parameters.pair_column is None:
        raise UserError(
            "task rerank: it needs queries and candidates; name both columns (--text-column QUERY "
            "--text-pair-column CANDIDATE), or another --task"
        )
    if parameters.batch_size > 1:
        raise UserError(
            "batch_size: with the task rerank a batch is the candidates of a query; leave it out"
        )
    if parameters.group_column is not None:
        raise UserError(
            "group_column: with the task rerank the candidates of a query belong together; leave it out"
        )
    if parameters.limit is not None:
        raise UserError(
            "limit: with the task rerank a sample of rows would take candidates from their queries; "
            "sample whole queries into a file of its own"
        )


def check_module_names(parameter: str, names: Sequence[str], modules: Sequence[str]) -> None:
    """Raises UserError where one of ``names`` is of no module: without effect, it would mislead."""
    for name in names:
        if name not in modules:
            near = get_close_matches(name, modules)
            parts = [module for module in modules if "." not in module]
            hint = f"near that are {', '.join(near)}" if near else f"its parts are {', '.join(parts)}"
            raise UserError(f"{parameter}: the model has no module '{name}'; {hint}")


def calibration_for(
    parameters: Parameters, checkpoint: Checkpoint, test: RawDocuments | None
) -> CalibrationRequest:
    """What static variants calibrate on, and what of the model's outputs is an answer.

    Args:
        parameters: of the run.
        checkpoint: the model, with its task.
        test: the documents that are measured, none of which may be among those; None without any.

    Raises:
        UserError: the file cannot be read, or has documents of the test set.
    """
    longest, task, cut = (
        max(parameters.max_length),
        checkpoint.task or SINGLE,
        logit(parameters.threshold),
    )
    trained = not checkpoint.random_weights
    # Of one class of several the answer is the largest: no threshold has a say.
    decided = "" if task == SINGLE else f" {task} {cut:.6g}"
    if parameters.calibration_data is None:
        pairs = parameters.pair_column is not None if test is None else test.pairs is not None
        what = "random pairs" if pairs else "random text"
        made_up = CalibrationRequest(None, f"{what} {longest}{decided}", what, longest, pairs=pairs)
        return replace(made_up, task=task, cut=cut, trained=trained)
    given = documents.read_documents(
        parameters.calibration_data,
        text_column=parameters.text_columns,
        label_column=None,
        encoding=parameters.encoding,
        limit=None,
        seed=parameters.seed,
    )
    if test is not None:
        check_apart(set(given.contents), set(test.contents), given.name)
    stored = documents.store_documents(given, [0] * len(given.ids), ["-"])
    origin = f"documents of {given.name}"
    digest = f"{stored.digest} {longest}{decided}"
    read = CalibrationRequest(str(stored.path), digest, origin, longest)
    return replace(read, task=task, cut=cut, trained=trained)
