"""Wrong input: one line that names the thing and says what to do, and nothing left behind."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from ptdq.errors import UserError
from ptdq.host.machine import choose_cores
from ptdq.inputs import load as inputs
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.inputs.documents import RawDocuments, class_ids, read_documents
from ptdq.inputs.labels import read_label_map
from ptdq.parameters import make_parameters, read_config
from ptdq.store import record
from ptdq.store.layout import RunFiles
from ptdq.variants.engines import choose_engine
from tests.conftest import CLASSES
from tests.support.running import start_ptdq


def complaint(function: Callable[..., object], *args: Any, **kwargs: Any) -> str:
    """The one line that ``function`` complains with."""
    with pytest.raises(UserError) as caught:
        function(*args, **kwargs)
    text = str(caught.value)
    assert text
    assert len(text.splitlines()) == 1
    return text


def says(text: str, *parts: object) -> None:
    """Each of these is in the line."""
    assert [part for part in parts if str(part) not in text] == [], text


# The data.


def read(path: Path, **values: Any) -> RawDocuments:
    given: dict[str, Any] = {
        "text_column": "text", "label_column": "label", "encoding": "utf-8", "limit": None, "seed": 0,
    }  # fmt: skip
    return read_documents(str(path), **given | values)


def test_data_file_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    says(complaint(read, path), path, "no such file", "--data")


def test_data_file_is_a_directory(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.mkdir()
    says(complaint(read, path), path, "directory")


@pytest.mark.parametrize("content", [b"", b"text,label\n"])
def test_data_file_is_empty(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "empty.csv"
    path.write_bytes(content)
    says(complaint(read, path), path, "text, label" if content else "empty", "row")


def test_data_file_is_of_unknown_type(tmp_path: Path) -> None:
    path = tmp_path / "data.xls"
    path.touch()
    says(complaint(read, path), path, ".xls", ".csv", ".tsv", ".jsonl", ".parquet")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.parquet", b"no such thing"),
        ("broken.jsonl", b'{"text": "a", "label": \n'),
        ("broken.csv", b'text,label\n"a,0\n'),
        ("uneven.csv", b"text,label\na,0\na,0,1,2\n"),
        ("broken.csv.gz", b"no such thing"),
    ],
)
def test_data_file_is_not_what_its_name_says(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    says(complaint(read, path), path)


def test_data_file_is_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "gbk.csv"
    path.write_bytes("text,label\n球队,0\n".encode("gbk"))
    says(complaint(read, path), path, "byte 11", "utf-8", "--encoding gb18030")
    assert read(path, encoding="gbk").texts == ["球队"]
    says(complaint(read, path, encoding="klingon"), "klingon")


@pytest.mark.parametrize("column", ["text", "label"])
def test_column_is_missing(tmp_path: Path, column: str) -> None:
    path = tmp_path / "data.csv"
    other = {"text": "label", "label": "text"}[column]
    path.write_text(f"{other},title\n1,2\n")
    says(complaint(read, path), path, f"'{column}'", other, "title", f"--{column}-column")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_text_is_missing(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"data.{ending}"
    frame = pd.DataFrame({"text": ["a", None, "b", " ", None], "label": [0, 1, 0, 1, 0]})
    write = {
        "csv": lambda: frame.to_csv(path, index=False),
        "jsonl": lambda: frame.to_json(path, orient="records", lines=True),
        "parquet": lambda: frame.to_parquet(path),
    }
    write[ending]()
    says(complaint(read, path), path, "'text'", "3 missing", "2, 4, 5")


def test_text_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "a", "label": 0}\n{"text": 7, "label": 0}\n')
    says(complaint(read, path), path, "'text'", "1 missing or non-text", "row", "2")


def test_label_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\na,0\nb,\n")
    says(complaint(read, path), path, "'label'", "1 missing", "2")


@pytest.mark.parametrize("label", ["politics", "3", "-1"])
def test_label_is_not_known_to_the_model(tmp_path: Path, label: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(f"text,label\na,sport\nb,{label}\n")
    text = complaint(class_ids, read(path), CLASSES, None)
    says(text, path, f"'{label}'", "row 2", *CLASSES, "--label-map")


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("lone.csv", 'text,label\n"a,0\nb,1\n', ["row 1 (line 2)", "quote"]),
        ("shifted.csv", "text,label\nFirst, we won,sport\n", ["row 1 (line 2)", "3 fields", "quotes"]),
        ("short.tsv", "text\tlabel\na\t0\nb\n", ["row 2 (line 3)", "1 field", "2"]),
        ("two.tsv", 'text\tlabel\n"a\t0\nb"\t1\n', ["line 2", "two ways", "JSON lines"]),
        ("twice.csv", "text,label,label\na,0,1\n", ["2 columns", "'label'", "rename"]),
        ("array.jsonl", '[{"text": "a", "label": 0}]\n', ["line 1", "list"]),
        ("many.jsonl", "[\n]\n", ["line 1", "ends in .json"]),
        ("key.jsonl", '{"text": "a", "text": "b", "label": 0}\n', ["line 1", "'text' is there twice"]),
        ("deep.jsonl", "[" * 100_000, ["line 1", "not valid JSON"]),
        ("object.json", '{"text": {"0": "a"}, "label": {"0": 0}}', ["'text'", "objects"]),
        ("broken.json", '[{"text": "a", "label": 0}', ["not valid JSON"]),
        (
            "nested.jsonl",
            '{"text": "a", "label": {"id": 0}}\n',
            ["'label'", "objects", "text or a number"],
        ),
        ("semicolons.csv", "body;label\na;0\n", ["no column 'text'", "body;label", "--text-column"]),
    ],
)
def test_data_file_is_malformed(tmp_path: Path, name: str, content: str, parts: list[str]) -> None:
    path = tmp_path / name
    path.write_text(content)
    says(complaint(read, path), path, *parts)


def test_data_file_is_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    says(complaint(read, path), path, "not a regular file")


@pytest.mark.parametrize("name", ["data.csv.zst", "data.csv"])
def test_data_file_needs_a_package(tmp_path: Path, name: str) -> None:
    if importlib.util.find_spec("zstandard"):
        pytest.skip("it is installed")
    path = tmp_path / name
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    says(complaint(read, path), path, "pip install zstandard")


def matched(tmp_path: Path, labels: list[str], classes: Sequence[str]) -> list[int]:
    path = tmp_path / "labels.csv"
    path.write_text("text,label\n" + "".join(f"text {label},{label}\n" for label in labels))
    return class_ids(read(path), classes, None)


@pytest.mark.parametrize(
    ("labels", "classes", "ids"),
    [
        (["0", "1", "2"], ["1", "2", "3"], [0, 1, 2]),
        (["3", "1", "2"], ["1", "2", "3"], [2, 0, 1]),
        (["1.0", "0.0", "2.0"], CLASSES, [1, 0, 2]),
        (["True", "False", "TRUE"], ["neg", "pos"], [1, 0, 1]),
        (["true", "false"], ["True", "False"], [0, 1]),
        (["Sport", "cars", " HEALTH"], CLASSES, [0, 2, 1]),
        (["0", "1"], ["0", "1"], [0, 1]),
        (["a", "A"], ["a", "A"], [0, 1]),
    ],
)
def test_labels_with_one_reading_are_read(
    tmp_path: Path, labels: list[str], classes: list[str], ids: list[int]
) -> None:
    assert matched(tmp_path, labels, classes) == ids


@pytest.mark.parametrize(
    ("labels", "classes", "parts"),
    [
        (["1", "2"], ["1", "2", "3"], ["label '1' in row 1", "'2'", "--label-map", '{"1": 0, "2": 1}']),
        (["sport", "1"], CLASSES, ["row 2", "names and ids are not mixed", "--label-map"]),
        (["True", "False"], CLASSES, ["'True'", "--label-map", '{"True": 0, "False": 1}']),
        (["1.5"], CLASSES, ["'1.5'", "--label-map"]),
        (["SPORT"], ["sport", "Sport"], ["'SPORT'", "--label-map"]),
    ],
)
def test_labels_with_two_readings_or_none_are_refused(
    tmp_path: Path, labels: list[str], classes: list[str], parts: list[str]
) -> None:
    says(complaint(matched, tmp_path, labels, classes), *parts)


def test_labels_are_those_of_the_file_and_not_of_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\na,1\nb,1\nc,1\nd,1\ne,0\n")
    found = read(path, limit=1)
    assert found.labels == ["1"]
    # 0 is no class name: these are ids.
    assert class_ids(found, ["1", "2"], None) == [1]


@pytest.mark.parametrize("content", [None, "{", "[]", '{"a": "b"}', '{"a": 0, "a": 1}'])
def test_label_map_is_wrong(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "map.json"
    if content is not None:
        path.write_text(content)
    says(complaint(read_label_map, str(path)), path)


# The model.


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model to spoil."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def change_config(model: Path, **values: Any) -> None:
    path = model / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def change_weights(model: Path, keep: Callable[[str], bool]) -> None:
    path = model / "model.safetensors"
    kept = {name: tensor for name, tensor in load_file(path).items() if keep(name)}
    save_file(kept, path, metadata={"format": "pt"})


def model_complaint(model: Path | str, **values: Any) -> str:
    text = complaint(open_checkpoint, str(model), labels=["sport"], **values)
    says(text, f"model {model}")
    return text


def test_model_directory_is_missing(tmp_path: Path) -> None:
    says(model_complaint(tmp_path / "none"), "no such directory", "--model")


def test_model_is_neither_here_nor_on_the_hub() -> None:
    says(model_complaint("nobody/nothing"), "no such directory", "hub")


def test_model_is_a_file(model: Path) -> None:
    says(model_complaint(model / "config.json"), "file", "directory")


def test_model_has_no_configuration(model: Path) -> None:
    (model / "config.json").unlink()
    says(model_complaint(model), "config.json")


@pytest.mark.parametrize("content", ["{", "[]", '{"model_type": "nonsense"}'])
def test_model_has_a_broken_configuration(model: Path, content: str) -> None:
    (model / "config.json").write_text(content)
    says(model_complaint(model), "config.json")


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        ({"0": "a", "2": "b"}, ["id2label", "no name for class id 1", "0, 2"]),
        ({"0": "a", "1": "b", "2": "a"}, ["id2label", "0, 2", "'a'"]),
        ({"0": "a", "one": "b"}, ["id2label", "'one'", "0 to 1"]),
    ],
)
def test_names_of_classes_have_gaps_or_duplicates(
    model: Path, names: dict[str, str], parts: list[str]
) -> None:
    change_config(
        model, id2label=names, label2id={label: int(n) for n, label in enumerate(names.values())}
    )
    says(model_complaint(model), "config.json", *parts)


def test_model_has_a_link_out_of_it(model: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (model / "added_tokens.json").symlink_to(tmp_path / "secret.txt")
    says(
        model_complaint(model), "added_tokens.json", "link out of its directory", tmp_path / "secret.txt"
    )


@pytest.mark.parametrize("file", ["../model.safetensors", "/etc/hostname", "none.safetensors"])
def test_index_of_weights_names_what_is_not_there(model: Path, file: str) -> None:
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"bert.a": file}}))
    says(model_complaint(model), file, "model.safetensors.index.json")


def test_model_is_an_adapter(model: Path) -> None:
    for path in model.glob("*.safetensors"):
        path.rename(model / "adapter_model.safetensors")
    (model / "config.json").unlink()
    (model / "adapter_config.json").write_text('{"base_model_name_or_path": "some/base"}')
    says(
        model_complaint(model), "adapter", "some/base", "merge_and_unload", f"'{model}'", "--model merged"
    )


@pytest.mark.parametrize("file", ["spm.model", "spiece.model", "sentencepiece.bpe.model"])
def test_tokenizer_needs_a_package(model: Path, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (model / "tokenizer.json").rename(model / file)
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    says(model_complaint(model), file, "pip install sentencepiece")


def test_vocabulary_has_another_name(model: Path) -> None:
    (model / "tokenizer.json").rename(model / "vocab.json")
    says(model_complaint(model), "tokenizer")


def test_vocabulary_lacks_a_special_token(model: Path) -> None:
    words = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
    (model / "tokenizer.json").unlink()
    kept = [word for word in sorted(words, key=words.__getitem__) if word != "[SEP]"]
    # As long as the embedding: the token is added, and its id is one too many.
    (model / "vocab.txt").write_text("\n".join([*kept, "x"]))
    says(model_complaint(model), f"'[SEP]' the id {len(words)}", f"embeddings for {len(words)}")


def test_batch_needs_a_token_to_pad_with(tiny_model: Path, tiny_data: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    change_config(model, pad_token_id=None)
    given = {"model": str(model), "data": str(tiny_data), "max_length": [16]}
    inputs.read_model(make_parameters(given), read(tiny_data))
    text = complaint(inputs.read_model, make_parameters(given | {"batch_size": 8}), read(tiny_data))
    says(
        text,
        "batch_size 8",
        '"pad_token": "[PAD]"',
        "tokenizer_config.json",
        '"pad_token_id": 0',
        "config.json",
    )


def test_tokenizer_is_of_another_model(model: Path) -> None:
    path = model / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["vocab"]["further"] = 5000
    path.write_text(json.dumps(content))
    says(model_complaint(model), "'further' the id 5000", "embeddings for")


def test_model_has_no_tokenizer(model: Path) -> None:
    (model / "tokenizer.json").unlink()
    says(model_complaint(model), "tokenizer.json", "save_pretrained")


def test_model_has_a_broken_tokenizer(model: Path) -> None:
    (model / "tokenizer.json").write_text("{")
    says(model_complaint(model), "tokenizer")


def test_model_has_no_weights(model: Path) -> None:
    (model / "model.safetensors").unlink()
    says(model_complaint(model), "no weights", "--random-weights")


def test_model_has_broken_weights(model: Path) -> None:
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    says(model_complaint(model), "cannot be loaded")


def test_model_has_pickled_weights_only(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    says(model_complaint(model), "pickled", "pytorch_model.bin", "safetensors")


def test_weights_have_other_shapes(model: Path) -> None:
    change_config(model, intermediate_size=48)
    says(model_complaint(model), "do not fit", "intermediate", "config.json")


def test_weights_lack_layers(model: Path) -> None:
    change_weights(model, lambda name: "layer.1." not in name)
    says(model_complaint(model), "do not fit", "layer.1.")


def test_weights_have_more_layers(model: Path) -> None:
    change_config(model, num_hidden_layers=1)
    says(model_complaint(model), "do not fit", "layer.1.")


def test_head_is_none(model: Path) -> None:
    change_config(model, architectures=["BertModel"])
    change_weights(model, lambda name: not name.startswith("classifier"))
    says(model_complaint(model), "no sequence classifier", "BertModel")


def test_head_is_another(model: Path) -> None:
    change_config(model, architectures=["BertForTokenClassification"])
    says(model_complaint(model), "no sequence classifier", "BertForTokenClassification")


def test_head_is_not_in_the_weights(model: Path) -> None:
    change_weights(model, lambda name: not name.startswith("classifier"))
    says(model_complaint(model), "no sequence classifier", "classifier.")


def test_model_has_too_few_positions(tiny_model: Path, tiny_data: Path) -> None:
    parameters = make_parameters(
        {"model": str(tiny_model), "data": str(tiny_data), "max_length": [16, 33]}
    )
    text = complaint(inputs.read_model, parameters, read(tiny_data))
    says(text, "max_length 33", tiny_model, "32", "--max-length")


@pytest.mark.parametrize("parameter", ["keep_float", "keep_float_mixed"])
@pytest.mark.parametrize(
    ("name", "near"),
    [("bert.encoder.layer.2", "bert.encoder.layer.1"), ("pooler", "bert.pooler"), ("xyz", "classifier")],
)
def test_what_is_kept_in_float_is_no_module(
    parameter: str, name: str, near: str, tiny_model: Path, tiny_data: Path
) -> None:
    given = {"model": str(tiny_model), "data": str(tiny_data), "max_length": [16]}
    wrong = make_parameters(given | {parameter: ["bert.encoder.layer.1", name]})
    says(complaint(inputs.read_model, wrong, read(tiny_data)), parameter, f"'{name}'", near)
    inputs.read_model(make_parameters(given | {parameter: ["bert.encoder.layer.1"]}), read(tiny_data))


def test_a_rejected_model_leaves_nothing_in_the_cache(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTDQ_CACHE", str(tmp_path / "cache"))
    change_config(model, intermediate_size=48)
    model_complaint(model)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


# The parameters.


@pytest.mark.parametrize(
    ("wrong", "parts"),
    [
        ({"max_length": [2]}, ["max_length[0]", "3"]),
        ({"max_length": []}, ["max_length"]),
        ({"max_length": [128, 128]}, ["max_length", "twice"]),
        ({"max_length": ["long"]}, ["max_length[0]", "integer"]),
        ({"variant": ["int3"]}, ["int3", "fp32", "int8-dynamic", "float16-dynamic"]),
        ({"repeats": 0}, ["repeats", "1"]),
        ({"limit": 0}, ["limit", "1"]),
        ({"batch_size": 0}, ["batch_size", "1"]),
        ({"run_id": "a/b"}, ["run_id", "a/b", "path separator"]),
        ({"run_id": "a\\b"}, ["run_id", "path separator"]),
        ({"run_id": ".."}, ["run_id", "'..'"]),
        ({"run_id": ""}, ["run_id", "''"]),
        ({"granularity": "per-word"}, ["granularity", "per-tensor", "per-channel"]),
        ({"repeat": 1}, ["repeat", "no such parameter", "repeats"]),
        ({"model": None}, ["model"]),
    ],
)
def test_parameter_is_wrong(wrong: dict[str, Any], parts: list[str]) -> None:
    says(complaint(make_parameters, {"model": "m", "data": "d.csv"} | wrong), *parts)


def test_parameter_is_missing() -> None:
    says(complaint(make_parameters, {"model": "m"}), "data", "required", "--data")


@pytest.mark.parametrize("content", [None, b"[1]", b"a: [", b"\xff\xfe\x00"])
def test_config_file_is_wrong(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content)
    says(complaint(read_config, path), path)


def test_engine_is_unknown() -> None:
    says(complaint(choose_engine, "steam"), "'steam'", "there are", choose_engine(None))


@pytest.mark.parametrize("cores", ["0", "10000", "0,10000", "0,0", "10000,", "0,,", ",", "²", "many", ""])
def test_cores_are_not_there(cores: str) -> None:
    says(complaint(choose_cores, cores), "cores", cores)


def test_results_directory_cannot_be_written(tmp_path: Path) -> None:
    # Root may write anywhere; below a file nobody can.
    (tmp_path / "results").touch()
    target = RunFiles(tmp_path / "results" / "deeper" / "run")
    says(complaint(record.check_target, target, None, False), target.directory.parent, "--results-dir")


def test_run_id_is_used(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").touch()
    text = complaint(record.check_target, RunFiles(tmp_path / "run"), None, False)
    says(text, "'run'", tmp_path / "run", "take another")


# The command line.


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--data", "none.csv"], ["none.csv", "no such file"]),
        (["--text-column", "body"], ["'body'", "text, label"]),
        (["--model", "./none"], ["./none", "no such directory"]),
        (["--max-length", "33"], ["33", "32 positions"]),
        (["--variant", "int3"], ["int3", "fp32"]),
        (["--engine", "steam"], ["steam"]),
        (["--repeats", "0"], ["repeats"]),
        (["--run-id", "a/b"], ["a/b", "path separator"]),
    ],
    ids=lambda value: value[0].removeprefix("--") if value[0].startswith("--") else "",
)
def test_command_line(
    options: list[str], parts: list[str], tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    # No server listens there: wrong input is found before one is needed.
    ptdq = start_ptdq(
        "run", "--model", tiny_model, "--data", tiny_data, "--results-dir", tmp_path, "--max-length", 16,
        *options, server="http://127.0.0.1:9/api",
    )  # fmt: skip
    output, errors = ptdq.communicate(timeout=300)
    assert (ptdq.returncode, output) == (2, b"")
    (line,) = errors.decode().splitlines()
    says(line, "ptdq: ", *parts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--shard-documents", "0"], ["shard_documents 0", "at least one"]),
        (["--data", "none.csv"], ["none.csv", "no such file"]),
        (["--text-column", "body"], ["'body'", "text, label"]),
        (["--max-length", "33"], ["33", "32 positions"]),
        (["--variant", "int8-pt2e-static"], ["int8-pt2e-static", "calibrate"]),
    ],
)
def test_evaluate_is_refused_before_a_server_is_started(
    options: list[str], parts: list[str], tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    from ptdq.cli.evaluate import command

    given = {
        "--model": tiny_model, "--data": tiny_data, "--variant": "fp32", "--max-length": 16,
        "--results-dir": tmp_path / "results", **dict([options]),
    }  # fmt: skip
    words = [str(word) for option in given.items() for word in option]
    with no_server():
        says(complaint(command.main, words, standalone_mode=False), *parts)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ("data: demo\nrepeats: 0\n", ["repeats"]),
        ("data: demo\nmodel: demo\n", ["benchmark: model", "matrix"]),
    ],
)
def test_matrix_is_refused_before_a_server_is_asked(
    config: str, parts: list[str], tmp_path: Path
) -> None:
    from ptdq.cli.matrix import command

    path = tmp_path / "all.yaml"
    path.write_text(config)
    words = ["--machine", "a", "--model", "demo", "--config", str(path), "--results-dir", str(tmp_path)]
    with no_server():
        says(complaint(command.main, words, standalone_mode=False), *parts)
    assert [*tmp_path.iterdir()] == [path]


@contextmanager
def no_server() -> Iterator[None]:
    """Within the block whoever wants a Prefect server fails."""
    from ptdq.flows import matrix
    from ptdq.orchestration import server

    def started(*_: object, **__: object) -> None:
        raise AssertionError("a server was started")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "api", started)
        patch.setattr(matrix, "benchmark_matrix", started)
        yield
