"""What constrains an answer, and who reads it, for tools and reasoning; knows nothing of submission and outputs.

vLLM's parsers need one of its own chat requests; one is made only where a parser is in play.
"""

import json
from collections.abc import Callable
from typing import Any

from engines.contract.chat import ChatRequest, Tool
from engines.contract.errors import EngineError, ErrorCode
from engines.vllm_parts import library as vllm
from engines.vllm_parts.options import Options
from engines.vllm_parts.readers import HermesReader, LibraryReader, Reader, ReasoningReader

_HERMES = "hermes"
_MAX_WHITESPACE = 1  # in a row, in a call's JSON: a small model would indent for ever


class AnswerFormats:
    """The formats of one model's answers, as its options name them. Raises EngineError(VALIDATION_ERROR)."""

    def __init__(self, llm: vllm.AsyncLLM, options: Options) -> None:
        self._model_config = llm.model_config
        self._tokenizer: Any = llm.get_tokenizer()
        self._tool_parser = options.tool_parser
        self._reasoning_parser = options.reasoning_parser
        self._strict_level = options.tool_strict_level
        self._reads_hermes = options.tool_parser == _HERMES
        # Levels: how much of a call the grammar fixes; see vLLM's `--tool-strict-level`.
        self._constrainers = {
            level: self._parser_class(options.tool_parser, level)
            for level in ("auto", "function", "parameter")
        }
        self._reading_class = self._parser_class(None if self._reads_hermes else options.tool_parser, "auto")
        self._can_switch_thinking_off = self._reasoning_parser is not None and self._has_ended_reasoning(
            ChatRequest((), thinking=False), []
        )

    def constraints(self, request: ChatRequest, form: Any) -> list[Any]:
        """Grammars to try, in this order, until one compiles; none if the answer is free.

        `form` is the output format's grammar or None. A forced call's arguments fit the tool's schema, unless that
        cannot be compiled and nobody asked for `strict`.
        """
        if not request.tools:
            return [form] if form is not None else []
        levels: list[str] = [self._strict_level]
        if request.tool_choice.mode in ("required", "named"):
            is_strict = any(tool.strict for tool in request.tools)
            levels = ["parameter"] if is_strict else ["parameter", "auto"]
        elif form is not None:
            levels = [
                "function"
            ]  # a call or the format: on `auto` the format's grammar alone would rule out calls
        found = [self._constraint(request, form, level) for level in levels]
        return [constraint for constraint in found if constraint is not None]

    def readers(self, request: ChatRequest, prompt_ids: list[int]) -> Callable[[], Reader] | None:
        """Makes a reader for a choice; None where the answer is nothing but content."""
        if not request.tools and not self._may_reason(request):
            return None
        return lambda: self._reader(request, prompt_ids)

    def _reader(self, request: ChatRequest, prompt_ids: list[int]) -> Reader:
        max_calls = None if request.parallel_tool_calls else 1
        hermes = HermesReader(max_calls) if request.tools and self._reads_hermes else None
        if hermes is not None and not self._may_reason(request):
            return hermes
        vllm_request = self._vllm_request(request, None)

        def make_parser() -> Any:
            return self._parser(self._reading_class, vllm_request, request)

        if request.tools and not self._reads_hermes:
            return LibraryReader(make_parser, vllm_request, prompt_ids, max_calls)
        return ReasoningReader(make_parser, vllm_request, prompt_ids, hermes)

    def engine_arguments(self, request: ChatRequest, prompt_ids: list[int]) -> dict[str, Any]:
        """What vLLM must know so that a grammar leaves the reasoning alone."""
        if not self._reasoning_parser:
            return {}
        has_ended = not self._may_reason(request) or self._has_ended_reasoning(request, prompt_ids)
        return {
            "reasoning_ended": has_ended,
            "reasoning_parser_kwargs": {"chat_template_kwargs": _template_arguments(request)},
        }

    def _may_reason(self, request: ChatRequest) -> bool:
        """False spares plain answers the parser: there is none, or it agrees that thinking is off."""
        if request.thinking is False and self._can_switch_thinking_off:
            return False
        return self._reasoning_parser is not None

    def _has_ended_reasoning(self, request: ChatRequest, prompt_ids: list[int]) -> bool:
        parser = self._parser(self._reading_class, self._vllm_request(request, None), request)
        return bool(parser.is_reasoning_end(prompt_ids))

    def _constraint(self, request: ChatRequest, form: Any, level: str) -> Any:
        """vLLM's grammar for the tools; for `auto` and no strict tool it is the format's own, or none."""
        vllm_request = self._vllm_request(request, form)
        parser = self._parser(self._constrainers[level], vllm_request, request)
        constraint = parser.adjust_request(vllm_request).structured_outputs
        if constraint is not None and constraint.structural_tag is not None:
            constraint.structural_tag = _limit_whitespace(constraint.structural_tag)
        return constraint

    def _parser_class(self, tool_parser: str | None, level: str) -> Any:
        try:
            return vllm.ParserManager.get_parser(
                tool_parser_name=tool_parser,
                reasoning_parser_name=self._reasoning_parser,
                enable_auto_tools=True,
                tool_strict_level=level,
                model_name=self._model_config.model,
                tokenizer=self._tokenizer,
            )
        except (TypeError, KeyError, ValueError, RuntimeError) as error:
            names = f"tool_parser `{tool_parser}`, reasoning_parser `{self._reasoning_parser}`"
            raise EngineError(
                ErrorCode.VALIDATION_ERROR, f"vLLM cannot use {names} for this model"
            ) from error

    def _parser(self, parser_class: Any, vllm_request: Any, request: ChatRequest) -> Any:
        return parser_class(
            self._tokenizer,
            vllm_request.tools,
            model_config=self._model_config,
            chat_template_kwargs=_template_arguments(request),
        )

    def _vllm_request(self, request: ChatRequest, form: Any) -> Any:
        """The part of a request that vLLM's parsers look at. Messages are not among it."""
        choice: Any = request.tool_choice.mode
        if choice == "named":
            choice = {"type": "function", "function": {"name": request.tool_choice.name}}
        arguments: dict[str, Any] = {}
        if request.tools:
            arguments = {
                "tools": [_tool_dict(tool) for tool in request.tools],
                "tool_choice": choice,
                "parallel_tool_calls": request.parallel_tool_calls,
            }
        return vllm.ChatCompletionRequest(
            model="",
            messages=[{"role": "user", "content": ""}],
            structured_outputs=form,
            **arguments,
        )


def _tool_dict(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.parameters}
    return {"type": "function", "function": function | ({"strict": True} if tool.strict else {})}


def _template_arguments(request: ChatRequest) -> dict[str, Any]:
    return {} if request.thinking is None else {"enable_thinking": request.thinking}


def _limit_whitespace(structural_tag: str) -> str:
    tag = json.loads(structural_tag)
    pending = [tag]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict):
            if node.get("type") == "json_schema" and "json_schema" in node:
                node["max_whitespace_cnt"] = _MAX_WHITESPACE
            else:
                pending.extend(node.values())
    return json.dumps(tag)
