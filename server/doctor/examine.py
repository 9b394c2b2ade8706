"""All that is looked at and judged, in the order in which it is shown."""

from collections.abc import Iterator

from server.doctor.gathering.engines import look_at_engines
from server.doctor.gathering.gpus import look_at_gpus
from server.doctor.gathering.machine import look_at_machine
from server.doctor.gathering.places import look_at_places
from server.doctor.gathering.serving import look_at_serving
from server.doctor.judging.engines import judge_engines
from server.doctor.judging.gpus import judge_gpus
from server.doctor.judging.machine import judge_machine
from server.doctor.judging.places import judge_places
from server.doctor.judging.serving import judge_serving
from server.doctor.verdict import Finding
from server.engine_envs import State
from server.settings import Settings


def examine(settings: Settings, *, with_imports: bool) -> Iterator[Finding]:
    """Findings as they are made. Blocks: the engines' libraries may take a minute to import."""
    gpus = look_at_gpus()
    yield from judge_machine(look_at_machine(), has_gpu=bool(gpus.num_driven))
    yield from judge_gpus(gpus)
    yield from judge_serving(look_at_serving(settings))
    engines = look_at_engines(settings, with_imports=with_imports)
    has_engines = engines.state is not State.MISSING
    yield from judge_places(look_at_places(settings), flavour=engines.flavour, has_engines=has_engines)
    yield from judge_engines(engines)
