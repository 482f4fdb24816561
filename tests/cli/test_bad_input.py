"""Wrong input: one line that names the thing and says what to do, and nothing left behind."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from ptdq.host.machine import choose_cores
from ptdq.inputs import load as inputs
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.parameters import make_parameters, read_config
from ptdq.store import record
from ptdq.store.layout import RunFiles
from ptdq.variants.engines import choose_engine
from tests.support.complaints import complaint, read, says
from tests.support.running import start_ptdq

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
        (["--encoding", "ascii"], ["is not ascii", "--encoding utf-8"]),
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
