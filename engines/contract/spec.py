"""The schema of a backend, which is one YAML file in `model_configs/`; also what a worker is told to load."""

from typing import Annotated, Any

import msgspec

from engines.contract.types import Modality

Slug = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", max_length=200)]
PositiveInt = Annotated[int, msgspec.Meta(ge=1)]
PositiveSeconds = Annotated[float, msgspec.Meta(gt=0)]


class Frontend(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A public model name that clients send."""

    slug: Slug
    display_name: str | None = None
    description: str | None = None


class Capabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the model can do; a request that needs more is refused with 422.

    The first five belong to modality chat: `vision` and `audio_input` are parts of messages. `dimensions`: embeddings
    may be shortened. `transcribe`, `translate` and `synthesize` are what an audio model does.
    """

    tools: bool = False
    structured_output: bool = True
    reasoning: bool = False
    vision: bool = False
    audio_input: bool = False
    dimensions: bool = False
    transcribe: bool = False
    translate: bool = False
    synthesize: bool = False
    stream: bool = True


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of one backend is admitted.

    `max_concurrency` requests run in the worker at once; `max_queue` more wait, each at most `queue_timeout_s`; then
    429. A cold start may take `load_timeout_s`. Running requests end with 504 after `request_timeout_s`.
    """

    max_concurrency: PositiveInt = 256
    max_queue: Annotated[int, msgspec.Meta(ge=0)] = 512
    queue_timeout_s: PositiveSeconds = 30.0
    load_timeout_s: PositiveSeconds = 1800.0
    request_timeout_s: PositiveSeconds = 600.0


KeepAlive = Annotated[int, msgspec.Meta(ge=-1)] | Annotated[str, msgspec.Meta(pattern=r"^\d{1,6}[smh]$")]
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class BackendSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One loadable model. `weights` is an absolute path once the catalog has read the file; `id` starts with `be_`.

    `replicas` are as many workers of the same model behind the same names, and `gpus` are dealt out to them evenly and
    in order. A file may have both; the catalog makes a backend with a `device` of its own of each, without either.

    `context_window` is in tokens: of prompt and answer for a chat model, of one input for embeddings and reranking;
    models of sound and pictures have none. Some licences bind whoever runs the model: `accept_license` says that the
    operator has read it; an engine that knows such a model does not load it otherwise.

    When memory is short, models of lower `priority` give way first and `pinned` ones never. `keep_alive` is how long an
    unused model stays loaded: `5m`, `90s`, seconds as a number, 0 not at all, -1 until its memory is needed. Then it
    falls asleep if it can, and `sleep_for` is how long it may: with 0 it is stopped instead.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^be_[a-z0-9_]+$")]
    engine: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$")]
    modality: Modality
    frontends: Annotated[tuple[Frontend, ...], msgspec.Meta(min_length=1)]
    weights: str
    licence: str
    accept_license: bool = False
    context_window: PositiveInt | None = None
    max_output_tokens: PositiveInt | None = None
    capabilities: Capabilities = Capabilities()
    limits: Limits = Limits()
    device: Annotated[str, msgspec.Meta(pattern=r"^(auto|cpu|cuda(:\d+(,\d+)*)?)$")] = "auto"
    gpus: tuple[Annotated[int, msgspec.Meta(ge=0)], ...] = ()
    replicas: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    preload: bool = False
    keep_alive: KeepAlive = -1
    sleep_for: KeepAlive = -1
    pinned: bool = False
    priority: int = 0
    allowed_files: dict[str, str] = {}
    options: dict[str, Any] = {}

    @property
    def num_gpus(self) -> int:
        """Over how many GPUs one worker spreads its model: `auto` and `cuda` are for one, `cpu` for none."""
        return 0 if self.device == "cpu" else self.device.count(",") + 1

    @property
    def keep_alive_s(self) -> float | None:
        """None: for as long as there is room."""
        return _duration_s(self.keep_alive)

    @property
    def sleep_for_s(self) -> float | None:
        """None: for as long as there is room."""
        return _duration_s(self.sleep_for)

    @property
    def text_window(self) -> int:
        """`context_window` of a model of text. Raises ValueError where there is none: the catalog refuses that."""
        if self.context_window is None:
            raise ValueError(f"{self.id} has no context_window")
        return self.context_window


def _duration_s(written: int | str) -> float | None:
    if isinstance(written, str):
        return float(written[:-1]) * _SECONDS[written[-1]]
    return None if written < 0 else float(written)
