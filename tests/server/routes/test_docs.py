"""What /openapi.json says about our own routes."""

from typing import Any

import pytest

from tests.fakes.surface import Surface

BODIES = ["/v1/inference/chat", "/v1/inference/generate", "/oai/v1/chat/completions", "/oai/v1/completions"]


def operations(surface: Surface) -> dict[tuple[str, str], dict[str, Any]]:
    paths = surface.app.openapi()["paths"]
    return {(path, method): spec for path, methods in paths.items() for method, spec in methods.items()}


@pytest.mark.parametrize("path", BODIES)
def test_body_is_described_with_examples(surface: Surface, path: str) -> None:
    content = operations(surface)[(path, "post")]["requestBody"]["content"]["application/json"]

    assert "model" in content["schema"]["required"]
    assert content["examples"]


def test_operations_have_ids_of_their_own(surface: Surface) -> None:
    ids = [spec["operationId"] for spec in operations(surface).values()]

    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", BODIES)
def test_answers_streams_and_errors_are_described(surface: Surface, path: str) -> None:
    responses = operations(surface)[(path, "post")]["responses"]

    assert set(responses["200"]["content"]) == {"application/json", "text/event-stream"}
    assert responses["200"]["content"]["text/event-stream"]["example"].endswith("data: [DONE]\n\n")
    wrong_body = "400" if path.startswith("/oai") else "422"
    assert {"401", "403", "404", "413", "429", "502", "503", "504", wrong_body} <= set(responses)
