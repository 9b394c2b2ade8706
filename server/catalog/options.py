"""An engine's own options, checked by the engine's `Options` class. Knows no engine by name."""

from collections.abc import Iterator

from engines.contract.options import OptionsError, engine_module, parse_options
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
