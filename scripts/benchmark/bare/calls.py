"""Answers lists of calls, one a line on stdin, by what each took and made, one line on stdout."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

Call = Callable[[Any], str]
"""What was made, in words or as a digest; "" where nothing is compared."""


def answer_calls(call: Call, first: object) -> None:
    """Says `ready` once `first` was called, so that what is slow only once is over."""
    out = sys.stdout
    sys.stdout = sys.stderr  # libraries print
    call(first)
    print("ready", file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps([_timed(call, argument) for argument in json.loads(line)]), file=out, flush=True)


def _timed(call: Call, argument: object) -> tuple[float, str]:
    begun_at = time.perf_counter()
    made = call(argument)
    return time.perf_counter() - begun_at, made
