"""The worker's log: one line per event on stderr; must never be given prompts, outputs or keys."""

import logging
import sys

_logger = logging.getLogger("hearth.worker")


def configure() -> None:
    """Send our events to stderr, where the parent keeps them in the backend's log file."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    _logger.handlers[:] = [handler]
    _logger.propagate = False
    _logger.setLevel(logging.INFO)


def log_event(event: str, *, exc_info: BaseException | None = None, **fields: object) -> None:
    """Write `noun.verb key=value ...`; with `exc_info` its traceback follows, at level ERROR."""
    line = " ".join([event, *(f"{key}={_shown(value)}" for key, value in fields.items())])
    _logger.log(logging.ERROR if exc_info else logging.INFO, line, exc_info=exc_info)


def _shown(value: object) -> str:
    text = str(value)
    return repr(text) if not text or any(c.isspace() for c in text) else text
