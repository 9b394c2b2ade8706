"""What a modality is to the benchmark: who takes part, under which loads, and what is compared."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from benchmark import servers
from benchmark.client import Body
from benchmark.comparison import Row
from benchmark.contestants import BARE, HEARTH, Contestant, OverHttp, Read, Work, bare
from server.engine_envs import python_for
from server.settings_sources import load_settings

CONFIGS = servers.ROOT / "model_configs"


@dataclass(frozen=True)
class Load:
    """`num_requests` requests over `num_clients` connections; each sends its next when its last is answered.

    `work(seed, load)` is the same for the same seed. The load is part of the first of every `every` rounds.
    """

    name: str
    num_clients: int
    num_requests: int
    work: "Callable[[str, Load], Work]"
    every: int = 1
    contestants: tuple[str, ...] = (HEARTH, BARE)

    def quick(self) -> "Load":
        return replace(
            self, num_requests=max(self.num_requests // 10, self.num_clients, min(2, self.num_requests))
        )


@dataclass(frozen=True)
class Starter:
    """A model that comes with Hearth, as it is configured there, kept loaded."""

    name: str

    @property
    def backend(self) -> dict[str, object]:
        """What the server is given."""
        config: dict[str, object] = yaml.safe_load((CONFIGS / f"starter-{self.name}.yaml").read_text())
        return config | {"weights": str(self.weights), "preload": True}

    @property
    def weights(self) -> Path:
        return CONFIGS / "starter" / self.name

    @property
    def slug(self) -> str:
        return f"starter/{self.name}"

    @property
    def engines_python(self) -> Path:
        return python_for(str(self.backend["engine"]), load_settings())

    def over_http(self, running: ExitStack, folder: Path, path: str, probe: Body, read: Read) -> Contestant:
        """Our server with this model only, once it has answered `probe` at `path`."""
        started = servers.hearth_with(self.backend, folder, self.engines_python, path=path, probe=probe)
        return OverHttp(running.enter_context(started), read)

    def bare(self, running: ExitStack, folder: Path, *arguments: str) -> Contestant:
        """The library with this model, in a process of its own."""
        given = [str(self.weights), *arguments]
        return running.enter_context(bare(self.name, given, folder, self.engines_python))


@dataclass(frozen=True)
class Modality:
    """`start(running)` brings up all contestants; `same` are loads whose answers are compared, each with
    what that is.
    """

    name: str
    title: str
    loads: tuple[Load, ...]
    rows: tuple[Row, ...]
    start: Callable[[ExitStack], Sequence[Contestant]]
    same: tuple[tuple[str, str], ...] = ()
