"""Keeps control tokens that a request's text spells from becoming control tokens; knows no tokenizer."""

import re
from collections.abc import Iterable

_OPEN, _CLOSE = (
    "\ue000",
    "\ue001",
)  # private use: no template writes them, and a text's own are hidden as well
_MARK = re.compile(f"{_OPEN}(\\d+){_CLOSE}")


class HiddenTokens:
    """Hides what a text may not spell behind marks, for the time of rendering. One object per rendering."""

    def __init__(self, control_tokens: Iterable[str]) -> None:
        longest_first = sorted(control_tokens, key=len, reverse=True)
        self._forbidden = re.compile("|".join(map(re.escape, [*longest_first, _OPEN, _CLOSE])))
        self._hidden: list[str] = []

    def matches(self, text: str) -> bool:
        return self._forbidden.search(text) is not None

    def hide(self, text: str) -> str:
        return self._forbidden.sub(self._mark, text)

    def split(self, rendered: str) -> list[str]:
        """Rendered text and hidden text in turn, beginning with rendered text."""
        pieces = _MARK.split(rendered)
        pieces[1::2] = [self._hidden[int(number)] for number in pieces[1::2]]
        return pieces

    def _mark(self, match: re.Match[str]) -> str:
        self._hidden.append(match.group())
        return f"{_OPEN}{len(self._hidden) - 1}{_CLOSE}"
