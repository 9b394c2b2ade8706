"""What a rerank body may hold, and which field is named when it may not."""

import json
from typing import Any

import pytest

from engines.contract.embed import RerankRequest
from server.errors import ServiceError
from server.wire.json_body import validate
from server.wire.rerank_body import RerankBody, parse_rerank


def rerank(**fields: Any) -> RerankRequest:
    body = {"model": "starter/rerank", "query": "q", "documents": ["a"]} | fields
    return parse_rerank(validate(json.dumps(body).encode(), RerankBody))


@pytest.mark.parametrize(
    ("field", "value", "path", "words"),
    [
        ("query", None, "query", "must be a string"),
        ("query", "", "query", "must not be empty"),
        ("query", ["q"], "query", "must be a string"),
        ("documents", None, "documents", "must be a list"),
        ("documents", "a", "documents", "must be a list"),
        ("documents", [], "documents", "must not be empty"),
        ("documents", ["a"] * 2049, "documents", "must have at most 2048 entries"),
        ("documents", ["a", ""], "documents.1", "must not be empty"),
        ("documents", ["a", 5], "documents.1", "must be a string or an object with `text`"),
        ("documents", [["a"]], "documents.0", "must be a string or an object with `text`"),
        ("documents", [{}], "documents.0.text", "is required"),
        ("documents", [{"text": ""}], "documents.0.text", "must not be empty"),
        ("documents", [{"text": 5}], "documents.0.text", "must be a string"),
        ("top_n", 0, "top_n", "must be at least 1"),
        ("top_n", "1", "top_n", "must be an integer"),
        ("return_documents", "yes", "return_documents", "must be true or false"),
        ("truncate", 1, "truncate", "must be true or false"),
        ("rank_fields", ["title"], "rank_fields", "is not supported; send the text to rank"),
        ("max_chunks_per_doc", 10, "max_chunks_per_doc", "is not supported; use truncate"),
        ("max_tokens_per_doc", 4096, "max_tokens_per_doc", "is not supported; use truncate"),
    ],
)
def test_mistake_is_refused_by_name(field: str, value: object, path: str, words: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        rerank(**{field: value})

    assert [(path, words)] == [tuple(problem) for problem in refusal.value.details]


def test_documents_are_strings_or_objects() -> None:
    request = rerank(documents=["a", {"text": "b", "title": "ignored"}], truncate=True, priority=0)

    assert RerankRequest("q", ("a", "b"), truncate=True) == request


def test_null_is_absent() -> None:
    assert rerank() == rerank(top_n=None, return_documents=None, truncate=None, rank_fields=None)
