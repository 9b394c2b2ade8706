"""What a body of plain generation may hold, and which field is named when it may not."""

import json
from typing import Any

import pytest

from engines.contract.chat import GenerateRequest, OutputFormat, Sampling
from server.errors import ServiceError
from server.wire.completion_body import CompletionBody, GenerateBody, parse_completion, parse_generate
from server.wire.json_body import validate


def generate(**fields: Any) -> GenerateRequest:
    body = {"model": "starter/chat", "prompt": "Once"} | fields
    return parse_generate(validate(json.dumps(body).encode(), GenerateBody))


def complete(**fields: Any) -> GenerateRequest:
    body = {"model": "starter/chat", "prompt": "Once"} | fields
    return parse_completion(validate(json.dumps(body).encode(), CompletionBody))


COMMON_MISTAKES: list[tuple[str, object, str]] = [
    ("prompt", None, "prompt"),
    ("prompt", 5, "prompt"),
    ("prompt", [], "prompt"),
    ("prompt", {}, "prompt"),
    ("prompt", ["a"] * 65, "prompt"),
    ("prompt", ["a", 5], "prompt.1"),
    ("prompt", [True], "prompt.0"),
    ("prompt", [None], "prompt.0"),
    ("suffix", "end", "suffix"),
    ("n", 9, "n"),
    ("max_tokens", 0, "max_tokens"),
    ("temperature", 3, "temperature"),
    ("response_format", {"type": "xml"}, "response_format.type"),
    ("stream_options", {}, "stream_options"),
]
COMPLETION_MISTAKES: list[tuple[str, object, str]] = [
    ("prompt", [1, "a"], "prompt.1"),
    ("prompt", [-1], "prompt.0"),
    ("prompt", [2**31], "prompt.0"),
    ("prompt", [[1], []], "prompt.1"),
    ("prompt", [[1], ["a"]], "prompt.1.0"),
    ("prompt", [[1]] * 65, "prompt"),
    ("logprobs", 21, "logprobs"),
    ("logprobs", True, "logprobs"),
    ("best_of", 2, "best_of"),
    ("echo", "yes", "echo"),
]


def field_of(error: ServiceError) -> str:
    return error.details[0].field


@pytest.mark.parametrize(("name", "value", "field"), COMMON_MISTAKES)
def test_mistake_is_refused_with_its_path_in_both_dialects(name: str, value: object, field: str) -> None:
    with pytest.raises(ServiceError) as native:
        generate(**{name: value})
    with pytest.raises(ServiceError) as openai:
        complete(**{name: value})

    assert [field, field] == [field_of(native.value), field_of(openai.value)]


@pytest.mark.parametrize(("name", "value", "field"), COMPLETION_MISTAKES)
def test_mistake_in_openais_fields_is_refused_with_its_path(name: str, value: object, field: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        complete(**{name: value})

    assert field == field_of(refusal.value)


def test_native_prompts_are_text_only() -> None:
    with pytest.raises(ServiceError) as refusal:
        generate(prompt=[1, 2])

    assert field_of(refusal.value) == "prompt.0"


def test_echo_with_logprobs_is_refused() -> None:
    with pytest.raises(ServiceError) as refusal:
        complete(echo=True, logprobs=1)

    assert field_of(refusal.value) == "logprobs"


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Once", ("Once",)),
        ("", ("",)),
        (["a", "b"], ("a", "b")),
        ([1, 2], ((1, 2),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
    ],
)
def test_every_form_of_a_prompt(prompt: object, expected: tuple[str | tuple[int, ...], ...]) -> None:
    assert expected == complete(prompt=prompt).prompts


def test_native_body_reaches_the_contract() -> None:
    request = generate(max_tokens=5, temperature=0, stop=["."], seed=1, stream=True)

    sampling = Sampling(max_tokens=5, temperature=0.0, stop=(".",), seed=1)
    assert GenerateRequest(prompts=("Once",), sampling=sampling, stream=True) == request


def test_openai_body_reaches_the_contract() -> None:
    request = complete(echo=True, n=2, best_of=2, response_format={"type": "json_object"})

    expected = GenerateRequest(
        prompts=("Once",),
        sampling=Sampling(max_tokens=16, n=2),
        echo=True,
        output_format=OutputFormat("json_object"),
    )
    assert expected == request


def test_openais_default_length_gives_way_to_min_tokens() -> None:
    assert complete(min_tokens=40).sampling.max_tokens == 40
