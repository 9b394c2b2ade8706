"""What an embedding body may hold, and which field is named when it may not."""

import json
from typing import Any

import pytest

from engines.contract.embed import EmbedRequest
from server.errors import ServiceError
from server.wire.embed_body import EmbedBody, parse_embed
from server.wire.json_body import validate


def embed(**fields: Any) -> EmbedRequest:
    body = {"model": "starter/embed", "input": "hi"} | fields
    return parse_embed(validate(json.dumps(body).encode(), EmbedBody))


@pytest.mark.parametrize(
    ("field", "value", "path", "words"),
    [
        ("input", None, "input", "must be a string or a list of strings; token ids are not supported"),
        ("input", 5, "input", "must be a string or a list of strings; token ids are not supported"),
        ("input", {}, "input", "must be a string or a list of strings; token ids are not supported"),
        ("input", [1, 2], "input", "must be a string or a list of strings; token ids are not supported"),
        ("input", [[1], [2]], "input", "must be a string or a list of strings; token ids are not supported"),
        ("input", "", "input", "must not be empty"),
        ("input", [], "input", "must not be empty"),
        ("input", ["a", ""], "input.1", "must not be empty"),
        ("input", ["a", 5], "input.1", "must be a string"),
        ("input", [None], "input.0", "must be a string"),
        ("input", [True], "input.0", "must be a string"),
        ("input", ["a"] * 2049, "input", "must have at most 2048 entries"),
        ("input", "\ud800", "body", "holds a lone surrogate"),
        ("dimensions", 0, "dimensions", "must be at least 1"),
        ("dimensions", -1, "dimensions", "must be at least 1"),
        ("dimensions", "8", "dimensions", "must be an integer"),
        ("dimensions", 2**31, "dimensions", "must be at most 2147483647"),
        ("encoding_format", "hex", "encoding_format", "must be 'float' or 'base64'"),
        ("task", "", "task", "must not be empty"),
        ("task", "x" * 65, "task", "must have at most 64 characters"),
        ("truncate", "END", "truncate", "must be true or false"),
        ("user", 5, "user", "must be a string"),
        ("model", None, "model", "must be a string"),
    ],
)
def test_mistake_is_refused_by_name(field: str, value: object, path: str, words: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        embed(**{field: value})

    assert [(path, words)] == [tuple(problem) for problem in refusal.value.details]


def test_one_text() -> None:
    assert EmbedRequest(("hi",)) == embed()


def test_everything_at_once() -> None:
    request = embed(
        input=["a", " "],
        dimensions=8,
        encoding_format="base64",
        task="query",
        truncate=True,
        user="me",
        unknown=1,
    )

    assert EmbedRequest(("a", " "), dimensions=8, task="query", truncate=True) == request


def test_as_many_inputs_as_allowed() -> None:
    assert len(embed(input=["a"] * 2048).inputs) == 2048


def test_null_is_absent() -> None:
    assert embed() == embed(dimensions=None, encoding_format=None, task=None, truncate=None, user=None)
