"""Takes tool calls in the Hermes format out of text, piece by piece; knows no library and no request.

A model writes `<tool_call>\\n{"name": "f", "arguments": {...}}\\n</tool_call>` among its text. In whatever pieces the
text arrives, the sum of the results is the same: a streamed and an unstreamed answer have equal calls and content.
"""

import json
import uuid
from collections.abc import Callable

from engines.contract.chat import ToolCallDelta

_OPEN = "<tool_call>"


class HermesText:
    """The state of one choice. Text after the first call is dropped, and so is blank text before it."""

    def __init__(self, max_calls: int | None = None) -> None:
        self.num_calls = 0
        self._max_calls = max_calls
        self._has_content = False
        self._pending = ""  # may be the beginning of a tag, or blank text before a call
        self._call: _Call | None = None

    def feed(self, text: str, *, is_last: bool) -> tuple[str, tuple[ToolCallDelta, ...]]:
        """What this piece adds to the content and to the calls."""
        text, self._pending = self._pending + text, ""
        content: list[str] = []
        deltas: list[ToolCallDelta] = []
        while text:
            if self._call is None:
                text = self._read_content(text, content, is_last=is_last)
            else:
                text = self._read_call(self._call, text, content, deltas)
        if is_last and self._call is not None and self._call.index is None:
            self._give_back(self._call, content)
        return "".join(content), tuple(deltas)

    def _read_content(self, text: str, content: list[str], *, is_last: bool) -> str:
        """Pass on what stands before the next tag; return what stands behind it."""
        before, tag, rest = text.partition(_OPEN)
        if tag:
            is_blank = not self._has_content and not before.strip()
            self._call = _Call(before if is_blank else "")
            if not is_blank:
                self._pass_on(before, content)
            return rest
        num_known = len(text) if is_last else len(text) - _overlap(text)
        if not is_last and not self._has_content and not text[:num_known].strip():
            num_known = 0
        self._pass_on(text[:num_known], content)
        self._pending = text[num_known:]
        return ""

    def _read_call(self, call: "_Call", text: str, content: list[str], deltas: list[ToolCallDelta]) -> str:
        """Read on in a call; return what stands behind it."""
        rest = text[call.feed(text) :]
        if call.is_broken:
            self._give_back(call, content)
            return rest
        if call.is_known and call.index is None and self.num_calls != self._max_calls:
            call.index = self.num_calls
            self.num_calls += 1
            deltas.append(ToolCallDelta(call.index, f"call_{uuid.uuid4().hex[:24]}", call.name, call.take()))
        elif call.index is not None and (arguments := call.take()):
            deltas.append(ToolCallDelta(call.index, arguments=arguments))
        if call.is_complete:
            self._call = None
        return rest

    def _give_back(self, call: "_Call", content: list[str]) -> None:
        """What looked like a call is none: it was content."""
        self._call = None
        self._pass_on(call.before + _OPEN + call.raw, content)

    def _pass_on(self, text: str, content: list[str]) -> None:
        if text and not self.num_calls:
            self._has_content = True
            content.append(text)


class _Call:
    """Reads one call's JSON character by character: its name, and its arguments as the model wrote them.

    `is_known`: name known and arguments begun. `is_broken`: this can not become a call. `is_complete`: it has ended.
    """

    def __init__(self, before: str) -> None:
        self.before = before
        self.raw = ""
        self.name: str | None = None
        self.index: int | None = None
        self.is_known = self.is_broken = self.is_complete = False
        self._arguments = ""
        self._has_arguments = False
        self._key = ""
        self._value = ""
        self._depth = 0
        self._is_in_string = self._is_escaped = False
        self._step: Callable[[str], None] = self._expect_object

    def feed(self, text: str) -> int:
        """Read until the call ends or cannot be one; returns how many characters belong to it."""
        for position, character in enumerate(text):
            if character == "<" and not self._is_in_string:  # no JSON: a tag comes too early
                self._end()
            else:
                self._step(character)
            if self.is_complete or self.is_broken:
                used = position + (character != "<")
                self.raw += text[:used]
                return used
        self.raw += text
        return len(text)

    def take(self) -> str:
        """The arguments read since the last time."""
        arguments, self._arguments = self._arguments, ""
        return arguments

    def _expect_object(self, character: str) -> None:
        if character == "{":
            self._step = self._expect_key
        elif not character.isspace():
            self.is_broken = True

    def _expect_key(self, character: str) -> None:
        if character == '"':
            self._begin(character, self._read_key)
        elif character == "}":
            self._end()
        elif character != "," and not character.isspace():
            self._fail()

    def _read_key(self, character: str) -> None:
        self._read_string(character)
        if not self._is_in_string:
            self._key = _text(self._value) or ""
            self._step = self._expect_colon

    def _expect_colon(self, character: str) -> None:
        if character == ":":
            self._step = self._expect_value
        elif not character.isspace():
            self._fail()

    def _expect_value(self, character: str) -> None:
        if character in ",}":
            self._fail()
        elif not character.isspace():
            self._has_arguments = self._has_arguments or self._key == "arguments"
            self._begin("", self._read_value)
            self._read_value(character)

    def _read_value(self, character: str) -> None:
        if self._is_in_string:
            self._read_string(character)
        elif self._depth == 0 and (character in ",}]" or character.isspace()):
            self._finish_value()
            self._expect_key(character)
            return
        else:
            self._read_mark(character)
        self._keep(character)
        if self._depth == 0 and not self._is_in_string and character in '}]"':
            self._finish_value()

    def _read_mark(self, character: str) -> None:
        """A character of a value outside its strings."""
        self._value += character
        if character == '"':
            self._is_in_string = True
        elif character in "{[":
            self._depth += 1
        elif character in "}]":
            self._depth -= 1

    def _read_string(self, character: str) -> None:
        self._value += character
        if self._is_escaped:
            self._is_escaped = False
        elif character == "\\":
            self._is_escaped = True
        elif character == '"':
            self._is_in_string = False

    def _keep(self, character: str) -> None:
        if self._key == "arguments":
            self._arguments += character
            self.is_known = self.name is not None

    def _begin(self, first: str, step: Callable[[str], None]) -> None:
        self._value, self._is_in_string, self._depth, self._step = first, bool(first), 0, step

    def _finish_value(self) -> None:
        self._step = self._expect_key
        if self._key == "name":
            self.name = _text(self._value)
            self.is_known = self.name is not None and self._has_arguments

    def _end(self) -> None:
        """The object has ended: a call without arguments has empty ones, one without a name is none."""
        self.is_complete = self.name is not None
        self.is_broken = self.name is None
        if self.is_complete and not self.is_known:
            self.is_known, self._arguments = True, "{}"

    def _fail(self) -> None:
        """No JSON any more: what was already passed on stays, the rest is no call."""
        self.is_complete = self.is_known
        self.is_broken = not self.is_known


def _text(value: str) -> str | None:
    try:
        text = json.loads(value)
    except json.JSONDecodeError:
        return None
    return text if isinstance(text, str) else None


def _overlap(text: str) -> int:
    """Length of the longest end of `text` that may be the beginning of a tag."""
    return next((n for n in range(len(_OPEN) - 1, 0, -1) if text.endswith(_OPEN[:n])), 0)
