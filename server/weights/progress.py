"""What work on many bytes tells whoever shows it. Shows nothing itself."""

from typing import Protocol


class Progress(Protocol):
    def begin(self, size_bytes: int) -> None:
        """All of the work together."""

    def file(self, name: str, size_bytes: int) -> None:
        """The next file begins."""

    def advance(self, num_bytes: int) -> None:
        """So many bytes more are done; negative where a file begins anew."""

    def say(self, text: str) -> None:
        """Something to know that is no fault, for example that it is tried again."""
