"""What the catalog accepts and how it tells everything that is wrong, at once."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from server.catalog import Catalog, CatalogError, read_catalog

MINIMAL: dict[str, Any] = {
    "engine": "vllm_chat",
    "modality": "chat",
    "frontends": ["acme/chat"],
    "weights": "weights/chat",
    "licence": "MIT",
    "context_window": 1024,
}


def write(folder: Path, name: str = "one.yaml", *, without: str = "", **changes: Any) -> Path:
    content = {key: value for key, value in (MINIMAL | changes).items() if key != without}
    file = folder / name
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def problems(folder: Path) -> list[tuple[str, str, str, str | None]]:
    with pytest.raises(CatalogError) as caught:
        read_catalog(folder)
    return [(item.file.name, item.path, item.message, item.suggestion) for item in caught.value.problems]


def test_short_forms_are_completed(tmp_path: Path) -> None:
    write(tmp_path, "My Model-2.yaml")

    catalog = read_catalog(tmp_path)

    spec = catalog.backends["be_my_model_2"]
    assert spec.frontends[0].slug == "acme/chat"
    assert spec.weights == str(tmp_path / "weights/chat")


def test_absolute_weights_and_home_are_kept(tmp_path: Path) -> None:
    write(tmp_path, weights="~/models/a")

    (spec,) = read_catalog(tmp_path).backends.values()

    assert Path(spec.weights) == Path.home() / "models/a"


def test_examples_and_other_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    write(tmp_path / "examples")
    (tmp_path / "README.md").write_text("not YAML: [")

    assert read_catalog(tmp_path) == Catalog({})


@pytest.mark.parametrize(
    ("changes", "path", "message", "suggestion"),
    [
        ({"weigths": "x"}, "weigths", "unknown key", "did you mean `weights`?"),
        ({"zzz": 1}, "zzz", "unknown key", None),
        (
            {"options": {"max_modle_len": 8}},
            "options.max_modle_len",
            "unknown key",
            "did you mean `max_model_len`?",
        ),
        (
            {"options": {"max_num_seqs": "8"}},
            "options.max_num_seqs",
            "expected `int | null`, got `str`",
            None,
        ),
        ({"options": 3}, "options", "expected `object`, got `int`", None),
        ({"limits": {"max_queue": -1}}, "limits.max_queue", "expected `int` >= 0", None),
        ({"limits": None}, "limits", "must be a mapping, not nothing", None),
        ({"capabilities": {"tool": True}}, "capabilities.tool", "unknown key", "did you mean `tools`?"),
        ({"frontends": []}, "frontends", "expected `array` of length >= 1", None),
        ({"frontends": "acme/chat"}, "frontends", "expected `array`, got `str`", None),
        ({"frontends": [{"slug": "a", "nmae": "b"}]}, "frontends[0].nmae", "unknown key", None),
        ({"frontends": [{"display_name": "a"}]}, "frontends[0].slug", "is missing", None),
        ({"context_window": True}, "context_window", "expected `int | null`, got `bool`", None),
        ({"modality": "chta"}, "modality", "invalid enum value 'chta'", None),
        ({"engine": "no_such"}, "engine", "no engine `no_such`", None),
        ({"max_output_tokens": 2048}, "max_output_tokens", "is above context_window (1024)", None),
        ({"modality": "audio"}, "capabilities", "must say `transcribe: true` or `synthesize: true`", None),
        ({"allowed_files": {"a": 1}}, "allowed_files[...]", "expected `str`, got `int`", None),
    ],
)
def test_mistake_is_told_with_its_place(
    tmp_path: Path, changes: dict[str, Any], path: str, message: str, suggestion: str | None
) -> None:
    write(tmp_path, **changes)

    ((name, found_path, found_message, found_suggestion),) = problems(tmp_path)

    assert (name, found_path, found_suggestion) == ("one.yaml", path, suggestion)
    assert found_message.startswith(message)


def test_missing_key_is_told(tmp_path: Path) -> None:
    write(tmp_path, without="licence")

    assert problems(tmp_path) == [("one.yaml", "licence", "is missing", None)]


def test_all_mistakes_of_all_files_come_at_once(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", without="licence", license="MIT", options={"dtype": "int3", "tool_praser": "x"})
    write(tmp_path, "b.yaml", context_window="many")
    (tmp_path / "c.yaml").write_text("a: [")

    found = [(name, path) for name, path, *_ in problems(tmp_path)]

    assert found == [
        ("a.yaml", "license"),
        ("a.yaml", "licence"),
        ("a.yaml", "options.tool_praser"),
        ("a.yaml", "options.dtype"),
        ("b.yaml", "context_window"),
        ("c.yaml", ""),
    ]


def test_ids_and_public_names_are_unique_over_files(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", id="be_same")
    write(tmp_path, "b.yaml", id="be_same")

    found = problems(tmp_path)

    taken = f"is already taken by {tmp_path / 'a.yaml'}"
    assert found == [
        ("b.yaml", "id", f"`be_same` {taken}", None),
        ("b.yaml", "frontends[0]", f"`acme/chat` {taken}", None),
    ]


def test_public_name_twice_in_one_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, frontends=["a", "b", "a"])

    assert [path for _, path, *_ in problems(tmp_path)] == ["frontends[2]"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("engine: a\nengine: b\n", "line 2, column 1: key `engine` appears twice"),
        ("limits: {max_queue: 1, max_queue: 2}\n", "line 1, column 24: key `max_queue` appears twice"),
        ("a: &x 1\nb: *x\n", "line 2, column 4: aliases are not allowed"),
        ("a: !!python/object:os.system {}\n", "line 1, column 4: could not determine a constructor"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: but found another document"),
        ("- a\n", "must hold one mapping of keys to values"),
        ("", "must hold one mapping of keys to values"),
        ("a: " + "x" * 300_000, "is larger than 256 KiB"),
        ("[" * 5000, "is not usable YAML"),
        ("a: 2026-99-99", "is not usable YAML"),
        ("a: \x07", "is not YAML"),
    ],
)
def test_unacceptable_yaml_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "one.yaml").write_text(text)

    ((_, _, found, _),) = problems(tmp_path)

    assert found.startswith(message)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"be_one": "auto"}),
        ({"gpus": [1]}, {"be_one": "cuda:1"}),
        ({"gpus": [0, 1]}, {"be_one": "cuda:0,1"}),
        ({"replicas": 2}, {"be_one_1": "auto", "be_one_2": "auto"}),
        ({"replicas": 2, "device": "cuda:0"}, {"be_one_1": "cuda:0", "be_one_2": "cuda:0"}),
        ({"replicas": 2, "gpus": [3, 1], "device": "cuda"}, {"be_one_1": "cuda:3", "be_one_2": "cuda:1"}),
        ({"replicas": 2, "gpus": [0, 1, 2, 3]}, {"be_one_1": "cuda:0,1", "be_one_2": "cuda:2,3"}),
    ],
)
def test_replicas_are_ordinary_backends_and_gpus_are_dealt_out_in_order(
    tmp_path: Path, changes: dict[str, Any], expected: dict[str, str]
) -> None:
    write(tmp_path, **changes)

    backends = read_catalog(tmp_path).backends

    assert {spec.id: spec.device for spec in backends.values()} == expected
    assert {(spec.replicas, spec.gpus, spec.frontends[0].slug) for spec in backends.values()} == {
        (1, (), "acme/chat")
    }


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"replicas": 0}, "replicas", "expected `int` >= 1"),
        ({"gpus": [-1]}, "gpus[0]", "expected `int` >= 0"),
        ({"gpus": [0, 0]}, "gpus", "names a GPU twice"),
        ({"gpus": [0, 1], "device": "cpu"}, "gpus", "cannot go with `device: cpu`: leave `device` out"),
        ({"gpus": [0, 1], "device": "cuda:0"}, "gpus", "cannot go with `device: cuda:0`: leave `device` out"),
        ({"gpus": [0, 1, 2], "replicas": 2}, "gpus", "3 cannot be dealt out evenly to 2 replicas"),
        ({"gpus": [0], "replicas": 2}, "gpus", "1 cannot be dealt out evenly to 2 replicas"),
        (
            {"gpus": [0, 1], "engine": "st_embed", "modality": "embedding"},
            "gpus",
            "engine `st_embed` computes on one GPU, not on 2: `replicas` can use several",
        ),
        (
            {"device": "cuda:0,1", "engine": "st_embed", "modality": "embedding"},
            "device",
            "engine `st_embed`",
        ),
        (
            {"gpus": [0, 1], "options": {"tensor_parallel_size": 4}},
            "options.tensor_parallel_size",
            "makes 4 GPUs, but the model has 2: name its `gpus`",
        ),
        (
            {"options": {"max_num_seqs": 64}},
            "options.max_num_seqs",
            "is below limits.max_concurrency (256)",
        ),
    ],
)
def test_gpus_and_requests_that_do_not_go_together_are_told(
    tmp_path: Path, changes: dict[str, Any], path: str, message: str
) -> None:
    write(tmp_path, **changes)

    ((_, found_path, found_message, _),) = problems(tmp_path)

    assert found_path == path
    assert found_message.startswith(message)


def test_id_of_a_replica_may_not_be_taken(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", replicas=2)
    write(tmp_path, "a_2.yaml", frontends=["acme/other"])

    assert problems(tmp_path) == [
        ("a_2.yaml", "id", f"`be_a_2` is already taken by {tmp_path / 'a.yaml'}", None)
    ]


def test_missing_folder_is_a_problem(tmp_path: Path) -> None:
    assert problems(tmp_path / "none") == [("none", "", "cannot be read: No such file or directory", None)]


def test_problem_reads_as_one_line(tmp_path: Path) -> None:
    file = write(tmp_path, weigths="x")

    with pytest.raises(CatalogError) as caught:
        read_catalog(tmp_path)

    assert str(caught.value) == f"{file}: weigths: unknown key (did you mean `weights`?)"
