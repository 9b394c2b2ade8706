"""An engine's own options, checked by the engine's module. Knows no engine by name."""

from collections.abc import Iterator

from engines.contract.options import OptionsError, engine_module, parse_options
from engines.contract.spec import BackendSpec
from server.catalog.check import Mistake, find_mistakes


def find_option_mistakes(engine: str, options: dict[str, object]) -> Iterator[Mistake]:
    """Unknown options and wrong types, all of them; only then what the engine itself refuses."""
    try:
        mistakes = list(find_mistakes(options, engine_module(engine).Options, "options"))
        if not mistakes:
            parse_options(engine, options)
    except OptionsError as error:
        mistakes = [Mistake(error.path, error.message)]
    yield from mistakes


def find_engine_mistakes(spec: BackendSpec, device_key: str) -> Iterator[Mistake]:
    """What the engine says of a whole spec whose options are right; `device_key` is where its devices are named."""
    module = engine_module(spec.engine)
    if spec.num_gpus > 1 and not getattr(module, "SPANS_GPUS", False):
        message = (
            f"engine `{spec.engine}` computes on one GPU, not on {spec.num_gpus}: `replicas` can use several"
        )
        yield Mistake(device_key, message)
    if find := getattr(module, "find_contradictions", None):
        yield from (Mistake(*found) for found in find(spec, parse_options(spec.engine, spec.options)))
