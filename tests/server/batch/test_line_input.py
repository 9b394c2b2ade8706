"""What a line must hold, told in the codes of OpenAI's batches; and nothing that a client sends breaks it."""

import json
import random
from typing import Any

import pytest

from server.batch.endpoints import ENDPOINTS
from server.batch.line_input import LineInput, LineProblem, read_line
from tests.server.batch.lines import line, raw

BAD: dict[str, tuple[bytes, str, str | None]] = {
    "nothing": (b"", "invalid_json_line", None),
    "cut": (b'{"custom_id": ', "invalid_json_line", None),
    "not_utf8": (b'{"custom_id": "\xff"}', "invalid_json_line", None),
    "inner_mark": (b"\xef\xbb\xbf" + raw(), "invalid_json_line", None),
    "nul_byte": (raw() + b"\0", "invalid_json_line", None),
    "nul_in_string": (b'{"custom_id": "a\0b"}', "invalid_json_line", None),
    "two_objects": (raw() + raw(), "invalid_json_line", None),
    "list": (b"[" + raw() + b"]", "invalid_json_line", None),
    "null": (b"null", "invalid_json_line", None),
    "duplicate_member": (b'{"custom_id": "a", "custom_id": "b"}', "invalid_json_line", None),
    "duplicate_in_body": (b'{"body": {"model": "m", "model": "n"}}', "invalid_json_line", None),
    "nan": (b'{"body": {"temperature": NaN}}', "invalid_json_line", None),
    "lone_surrogate": (b'{"custom_id": "\\ud800"}', "invalid_json_line", None),
    "too_deep": (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "invalid_json_line", None),
    "far_too_deep": (b"[" * 100_000, "invalid_json_line", None),
    "custom_id_missing": (raw(custom_id=...), "missing_required_parameter", "custom_id"),
    "custom_id_null": (raw(custom_id=None), "missing_required_parameter", "custom_id"),
    "custom_id_number": (raw(custom_id=5), "invalid_value", "custom_id"),
    "custom_id_empty": (raw(custom_id=""), "invalid_value", "custom_id"),
    "custom_id_too_long": (raw(custom_id="x" * 513), "invalid_value", "custom_id"),
    "custom_id_with_nul": (raw(custom_id="a\0"), "invalid_value", "custom_id"),
    "method_missing": (raw(method=...), "missing_required_parameter", "method"),
    "method_get": (raw(method="GET"), "invalid_method", "method"),
    "method_small": (raw(method="post"), "invalid_method", "method"),
    "method_list": (raw(method=["POST"]), "invalid_method", "method"),
    "url_missing": (raw(url=...), "missing_required_parameter", "url"),
    "url_unknown": (raw(url="/v1/models"), "invalid_url", "url"),
    "url_absolute": (raw(url="http://localhost/v1/inference/chat"), "invalid_url", "url"),
    "url_with_slash": (raw(url="/v1/inference/chat/"), "invalid_url", "url"),
    "url_with_query": (raw(url="/v1/inference/chat?a=b"), "invalid_url", "url"),
    "url_of_both_surfaces": (raw(url="/oai/v1/inference/chat"), "invalid_url", "url"),
    "url_number": (raw(url=1), "invalid_url", "url"),
    "url_list": (raw(url=[]), "invalid_url", "url"),
    "body_missing": (raw(body=...), "missing_required_parameter", "body"),
    "body_text": (raw(body="{}"), "invalid_value", "body"),
    "body_list": (raw(body=[{}]), "invalid_value", "body"),
    "model_missing": (raw(body={}), "missing_required_parameter", "body.model"),
    "model_null": (raw(body={"model": None}), "missing_required_parameter", "body.model"),
    "model_number": (raw(body={"model": 1}), "invalid_value", "body.model"),
    "model_empty": (raw(body={"model": ""}), "invalid_value", "body.model"),
    "model_too_long": (raw(body={"model": "m" * 201}), "invalid_value", "body.model"),
    "model_with_nul": (raw(body={"model": "m\0"}), "invalid_value", "body.model"),
}


@pytest.mark.parametrize(("content", "code", "param"), BAD.values(), ids=BAD)
def test_bad_line_is_a_problem(content: bytes, code: str, param: str | None) -> None:
    with pytest.raises(LineProblem) as caught:
        read_line(content)

    assert (caught.value.code, caught.value.param) == (code, param)
    assert (param or "this line") in caught.value.message


@pytest.mark.parametrize("url", ENDPOINTS)
def test_good_line_is_read(url: str) -> None:
    found = read_line(raw(url=url, custom_id="x" * 512, body={"model": "m" * 200, "a": [1]}, extra=1))

    assert (found.custom_id, found.url, found.model) == ("x" * 512, url, "m" * 200)
    assert found.body == {"model": "m" * 200, "a": [1]}
    assert found.endpoint.is_openai == ("/inference/" not in url)


def test_problem_tells_the_column() -> None:
    """A line has no lines of its own."""
    with pytest.raises(LineProblem, match=r"^this line is not valid JSON: column 7$"):
        read_line(b'{"a": }')


ODD: list[Any] = [None, True, 0, -1, 1.5, 2**63, "", "x", "\0", "POST", "\U0001f600", [], [None], {}, {"": 1}]


def test_whatever_stands_in_a_line_it_is_read_or_a_problem() -> None:
    chance = random.Random(3)
    for _ in range(3000):
        fields = line()
        place = fields if chance.random() < 0.7 else fields["body"]
        place[chance.choice([*place, "more"])] = chance.choice(ODD)
        content = bytearray(json.dumps(fields, ensure_ascii=chance.random() < 0.5).encode())
        if chance.random() < 0.5:
            content[chance.randrange(len(content))] = chance.randrange(256)

        found = read(bytes(content))

        if isinstance(found, LineProblem):
            assert found.code in {code for _, code, _ in BAD.values()}
        else:
            assert 1 <= len(found.custom_id) <= 512
            assert 1 <= len(found.model) <= 200


def read(content: bytes) -> LineInput | LineProblem:
    try:
        return read_line(content)
    except LineProblem as problem:
        return problem
