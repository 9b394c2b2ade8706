"""Whether this server should get traffic. Knows no model: one that is not loaded does not count."""

from collections.abc import Callable, Mapping
from types import MappingProxyType


class Readiness:
    """Named checks that answer at once, and the flag that a shutdown sets first."""

    def __init__(self, checks: Mapping[str, Callable[[], bool]] = MappingProxyType({})) -> None:
        self._checks = dict(checks)
        self.draining = False

    def start_draining(self) -> None:
        self.draining = True

    def results(self) -> dict[str, bool]:
        return {name: check() for name, check in self._checks.items()}

    def is_ready(self) -> bool:
        return not self.draining and all(self.results().values())
