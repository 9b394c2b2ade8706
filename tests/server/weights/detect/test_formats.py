"""Names of parsers are vLLM's own."""

import json

import pytest

from server.weights.detect.formats import REASONING_FORMATS, TOOL_FORMATS
from tests.engines.in_engines import run_module


@pytest.mark.vllm
def test_every_parser_is_one_that_vllm_has() -> None:
    told = run_module("tests.server.weights.detect.list_parsers")
    tools, reasoning = json.loads(told.strip().splitlines()[-1])

    assert {known.parser for known in TOOL_FORMATS} - set(tools) == set()
    assert {known.parser for known in REASONING_FORMATS} - set(reasoning) == set()
