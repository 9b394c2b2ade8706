"""Bodies on which parsers disagree are refused before anything is read from them."""

import json

import pytest

from engines.contract.errors import ErrorCode
from server.errors import ServiceError
from server.wire.strict_json import MAX_DEPTH, decode_object

REFUSED: dict[str, bytes] = {
    "empty": b"",
    "blank": b"  \n",
    "cut": b'{"a": ',
    "trailing": b'{"a": 1} x',
    "single_quotes": b"{'a': 1}",
    "comment": b'{"a": 1 /* b */}',
    "trailing_comma": b'{"a": 1,}',
    "bom": b'\xef\xbb\xbf{"a": 1}',
    "utf16": '{"a": 1}'.encode("utf-16"),
    "latin1": '{"a": "é"}'.encode("latin-1"),
    "raw_surrogate": b'{"a": "\xed\xa0\x80"}',
    "lone_high_surrogate": b'{"a": "\\ud800"}',
    "lone_low_surrogate": b'{"a": ["\\uDC00"]}',
    "surrogate_in_key": b'{"\\ud800": 1}',
    "nan": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "double_overflow": b'{"a": 1e400}',
    "integer_overflow": b'{"a": 18446744073709551616}',
    "negative_overflow": b'{"a": -9223372036854775809}',
    "integer_of_5000_digits": b'{"a": ' + b"9" * 5000 + b"}",
    "duplicate_key": b'{"a": 1, "a": 1}',
    "duplicate_inner_key": b'{"a": [{"b": 1, "b": 2}]}',
    "array": b"[1]",
    "string": b'"a"',
    "null": b"null",
    "control_character": b'{"a": "\x01"}',
    "too_deep": b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
    "far_too_deep": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep_and_unclosed": b"[" * 100_000,
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_ambiguous_json_is_refused(raw: bytes) -> None:
    with pytest.raises(ServiceError) as refusal:
        decode_object(raw)

    assert refusal.value.code is ErrorCode.VALIDATION_ERROR
    assert [problem.field for problem in refusal.value.details] == ["body"]


ACCEPTED: dict[str, bytes] = {
    "emoji_escape": b'{"a": "\\ud83d\\ude00"}',
    "utf8": '{"a": "日本語 é"}'.encode(),
    "largest_integers": b'{"a": [18446744073709551615, -9223372036854775808]}',
    "largest_double": b'{"a": 1.7e308}',
    "deepest": b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}",
    "same_key_in_siblings": b'{"a": {"b": 1}, "c": {"b": 1}}',
    "brackets_in_text": b'{"a": "' + b"[" * 1000 + b'"}',
}


@pytest.mark.parametrize("raw", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_plain_json_is_read_as_the_standard_library_reads_it(raw: bytes) -> None:
    assert json.loads(raw) == decode_object(raw)


def test_refusal_names_the_place_but_not_the_content() -> None:
    with pytest.raises(ServiceError) as refusal:
        decode_object(b'{"secret": \n hunter2}')

    assert "line 2 column 2" in refusal.value.message
    assert "hunter2" not in refusal.value.message
