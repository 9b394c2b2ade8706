"""A whole input: its problems with their lines, and what is kept of the good ones."""

import io

from server.batch.input_check import MAX_KEPT_PROBLEMS, CheckedLine, InputCheck, InputProblem
from tests.server.batch.lines import CHAT_URL, raw


def check(
    content: bytes, *, max_lines: int = 10, max_line_bytes: int = 1000, endpoint: str | None = None
) -> tuple[InputCheck, list[CheckedLine]]:
    made = InputCheck(max_lines=max_lines, max_line_bytes=max_line_bytes, endpoint=endpoint)
    return made, list(made.lines(io.BytesIO(content)))


def test_good_lines_are_kept_with_their_places() -> None:
    content = b"\xef\xbb\xbf\n" + raw() + b"\r\n \n" + raw(custom_id="b", body={"model": "n"})

    found, lines = check(content)

    assert found.problems == []
    assert [(line.line_no, line.custom_id, line.model) for line in lines] == [(2, "a", "m"), (4, "b", "n")]
    assert [content[line.start : line.start + line.size] for line in lines] == [
        raw(),
        raw(custom_id="b", body={"model": "n"}),
    ]
    assert [len(line.prefix_key) for line in lines] == [8, 8]


def test_every_problem_has_its_line() -> None:
    bad = [raw(), b"{", raw(), raw(custom_id="b", method="GET"), b"x" * 1001, raw(custom_id="c", url="/x")]

    found, lines = check(b"\n".join(bad))

    assert [line.line_no for line in lines] == [1]
    assert [(problem.line, problem.code, problem.param) for problem in found.problems] == [
        (2, "invalid_json_line", None),
        (3, "duplicate_custom_id", "custom_id"),
        (4, "invalid_method", "method"),
        (5, "line_too_long", None),
        (6, "invalid_url", "url"),
    ]
    assert found.problems[1].message == "custom_id is that of line 1"
    assert found.problems[3].message == "this line has 1001 bytes; at most 1000 are allowed"


def test_problems_are_counted_beyond_those_kept() -> None:
    found, lines = check(b"{\n" * 250, max_lines=1000)

    assert lines == []
    assert len(found.problems) == MAX_KEPT_PROBLEMS
    assert found.num_problems == 250


def test_too_many_lines_end_the_check() -> None:
    found, lines = check(b"\n\n".join(raw(custom_id=str(number)) for number in range(9)), max_lines=3)

    assert len(lines) == 3
    assert found.problems == [InputProblem("too_many_tasks", 7, "a batch may have at most 3 lines")]


def test_file_without_lines_is_a_problem() -> None:
    for content in (b"", b"\n\n", b"\xef\xbb\xbf \r\n"):
        found, lines = check(content)

        assert lines == []
        assert found.problems == [InputProblem("empty_file", None, "the file has no lines")]


def test_lines_must_name_the_endpoint_of_the_batch() -> None:
    urls = ("/v1/chat/completions", "/oai/v1/chat/completions", "/v1/embeddings", CHAT_URL)
    content = b"\n".join(raw(custom_id=url, url=url) for url in urls)

    found, lines = check(content, endpoint="/v1/chat/completions")

    assert [line.custom_id for line in lines] == list(urls[:2])
    assert [(problem.line, problem.code) for problem in found.problems] == [
        (3, "url_mismatch"),
        (4, "url_mismatch"),
    ]


def test_custom_ids_of_bad_lines_may_be_used_again() -> None:
    found, lines = check(raw(method="GET") + b"\n" + raw())

    assert [line.line_no for line in lines] == [2]
    assert found.num_problems == 1
