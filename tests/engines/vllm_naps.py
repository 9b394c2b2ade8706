"""`python -m tests.engines.vllm_naps SPEC CACHE` (in the engines' environment): orders vLLM on a CPU to sleep and wake.

Prints JSON: whether its answer was the same before and after each level, and what a sleep gave back. No engine of ours
offers these levels on a CPU; here the ways through vLLM are walked that a GPU would take.
"""

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from engines.contract.chat import GenerateRequest, Sampling
from engines.contract.options import parse_options
from engines.contract.spec import BackendSpec
from engines.contract.types import Priority
from engines.runtime import environment
from engines.runtime.host_memory import HostMeter

if TYPE_CHECKING:
    from engines.vllm_parts.serving import Serving

QUESTION = GenerateRequest(("What is the capital of",), Sampling(temperature=0.0, max_tokens=16))


async def main(spec: BackendSpec) -> None:
    os.setpgid(0, 0)  # the meter's group: this process and EngineCore
    environment.prepare()
    environment.switch_compiler_off()
    environment.limit_threads(1, spec.device)
    from engines.vllm_parts.serving import Serving

    serving = await Serving.start(spec, parse_options(spec.engine, spec.options))
    meter = HostMeter()
    first = await _answer(serving)
    found: dict[str, Any] = {"levels": serving.sleep_levels, "same": [], "freed_bytes": []}
    for level in (1, 2):
        hot = await meter.look()
        await serving.sleep(level)
        found["freed_bytes"].append(hot - await meter.look())
        await serving.wake()
        found["same"].append(await _answer(serving) == first)
    await serving.close()
    sys.stdout.write(json.dumps(found) + "\n")


async def _answer(serving: "Serving") -> list[object]:
    events = await serving.generate(QUESTION, Priority.DEFAULT)
    return [event async for event in events]


if __name__ == "__main__":
    os.environ[environment.CACHE_VARIABLE] = sys.argv[2]
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=BackendSpec)))
