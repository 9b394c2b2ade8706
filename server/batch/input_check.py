"""A whole input file: every problem of its lines, and what is kept of each good one. Reads; knows no store."""

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from server.batch.endpoints import without_prefix
from server.batch.jsonl import RawLine, read_lines
from server.batch.line_input import LineInput, LineProblem, read_line
from server.batch.prefix import prefix_key

MAX_KEPT_PROBLEMS = 100
_DIGEST_BYTES = 16


class InputProblem(msgspec.Struct, frozen=True):
    """What is wrong with one line, or with the file: then `line` is None."""

    code: str
    line: int | None
    message: str
    param: str | None = None


class CheckedLine(msgspec.Struct, frozen=True):
    """What is kept of a good line; `start` and `size` say where it lies in the file, in bytes."""

    line_no: int
    custom_id: str
    model: str
    start: int
    size: int
    prefix_key: bytes


class InputCheck:
    """Goes through one file. `endpoint` is the path that every line must name; None: any of them.

    `problems` has the first of them, `num_problems` says how many there are.
    """

    def __init__(self, *, max_lines: int, max_line_bytes: int, endpoint: str | None) -> None:
        self.problems: list[InputProblem] = []
        self.num_problems = 0
        self._max_lines = max_lines
        self._max_line_bytes = max_line_bytes
        self._endpoint = endpoint
        self._num_lines = 0
        self._first_uses: dict[bytes, int] = {}

    def lines(self, file: BinaryIO) -> Iterator[CheckedLine]:
        """The good lines. Blank ones count for line numbers only. Blocks."""
        for line in read_lines(file, self._max_line_bytes):
            if line.is_blank:
                continue
            self._num_lines += 1
            if self._num_lines > self._max_lines:
                message = f"a batch may have at most {self._max_lines} lines"
                self._report(InputProblem("too_many_tasks", line.line_no, message))
                return
            try:
                yield self._check(line)
            except LineProblem as problem:
                self._report(InputProblem(problem.code, line.line_no, problem.message, problem.param))
        if self._num_lines == 0:
            self._report(InputProblem("empty_file", None, "the file has no lines"))

    def _check(self, line: RawLine) -> CheckedLine:
        if line.raw is None:
            message = f"this line has {line.size} bytes; at most {self._max_line_bytes} are allowed"
            raise LineProblem("line_too_long", message)
        read = read_line(line.raw)
        self._check_endpoint(read)
        self._check_unique(read.custom_id, line.line_no)
        key = prefix_key(read.endpoint, read.body)
        return CheckedLine(line.line_no, read.custom_id, read.model, line.start, line.size, key)

    def _check_endpoint(self, read: LineInput) -> None:
        if self._endpoint is not None and without_prefix(read.url) != without_prefix(self._endpoint):
            raise LineProblem("url_mismatch", "url must be the batch's endpoint", "url")

    def _check_unique(self, custom_id: str, line_no: int) -> None:
        """Remembers digests: fifty thousand ids themselves could be a hundred megabytes."""
        digest = hashlib.blake2b(custom_id.encode(), digest_size=_DIGEST_BYTES).digest()
        first = self._first_uses.setdefault(digest, line_no)
        if first != line_no:
            raise LineProblem("duplicate_custom_id", f"custom_id is that of line {first}", "custom_id")

    def _report(self, problem: InputProblem) -> None:
        self.num_problems += 1
        if len(self.problems) < MAX_KEPT_PROBLEMS:
            self.problems.append(problem)
