"""Run in the engines' environment: the names of vLLM's parsers of tool calls and of reasoning, as JSON."""

import json
import sys

from vllm.reasoning import ReasoningParserManager
from vllm.tool_parsers import ToolParserManager


def main() -> None:
    names = [sorted(found.list_registered()) for found in (ToolParserManager, ReasoningParserManager)]
    sys.stdout.write("\n" + json.dumps(names))


if __name__ == "__main__":
    main()
