"""From a spec to a ready engine: options, weights, load, warm up; every failure becomes one LoadRefused."""

import asyncio
import uuid
from pathlib import Path

from engines.contract.engine import Engine, ReportProgress
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.options import OptionsError, engine_module, parse_options
from engines.contract.spec import BackendSpec
from engines.contract.weights import WeightsRefused, check_weights
from engines.runtime import environment


class LoadRefused(Exception):
    """Loading failed; `message` is for the operator, `permanent` says that trying again cannot help."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.message = message
        self.permanent = permanent


async def load_engine(spec: BackendSpec, report: ReportProgress) -> Engine:
    """Load and warm up what the spec names. Raises LoadRefused."""
    try:
        options = parse_options(spec.engine, spec.options)
        module = engine_module(spec.engine)
        if getattr(module, "HAS_WEIGHTS", True):
            report("importing", "checking the weights")
            await asyncio.to_thread(check_weights, Path(spec.weights), spec.allowed_files)
        environment.use_devices(spec.device)
        engine: Engine = module.Engine(spec, options)
        await engine.load(report)
        report("warming", "computing a first answer")
        await engine.warm_up()
    except (OptionsError, WeightsRefused) as error:
        raise LoadRefused(str(error), permanent=True) from error
    except EngineError as error:
        raise LoadRefused(error.message, permanent=error.code is ErrorCode.VALIDATION_ERROR) from error
    return engine


def crashed(error: BaseException) -> LoadRefused:
    """How an error that nobody expected is told outside: by its type and an id that is in the log."""
    return LoadRefused(f"internal error {uuid.uuid4().hex[:12]} ({type(error).__name__})", permanent=False)
