"""Which voices a backend has, before anything is loaded; knows that engines may tell, not how they do."""

from engines.contract.options import engine_module, parse_options
from engines.contract.spec import BackendSpec
from engines.contract.speech import VoiceCard


def voices_of(spec: BackendSpec) -> tuple[VoiceCard, ...]:
    """The voices of a backend that speaks, in its own order; none of any other. Raises OptionsError."""
    if not spec.capabilities.synthesize:
        return ()
    tell = getattr(engine_module(spec.engine), "voices", None)
    return () if tell is None else tuple(tell(spec, parse_options(spec.engine, spec.options)))
