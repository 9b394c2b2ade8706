"""The body of a chat request, the same in both dialects, and its translation into the contract. Pure."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engines.contract.chat import ChatRequest
from server.errors import invalid
from server.wire.chat_messages import MessageBody, messages
from server.wire.chat_tools import ToolBody, ToolChoiceBody, tool_choice, tools
from server.wire.fields import Count
from server.wire.output_format import ResponseFormatBody, output_format
from server.wire.sampling_body import SamplingBody, sampling


class ChatBody(SamplingBody):
    """OpenAI's chat request, as far as a text model can honour it, and `thinking`, which is ours."""

    messages: Annotated[
        list[MessageBody], Field(min_length=1, max_length=4096, description="The conversation so far")
    ]
    tools: Annotated[list[ToolBody], Field(max_length=128)] | None = Field(
        None, description="Functions that the model may call"
    )
    tool_choice: ToolChoiceBody | None = Field(
        None, description="`auto`, `none`, `required`, or the one to call; only together with tools"
    )
    parallel_tool_calls: bool | None = Field(None, description="False: one call at most")
    response_format: ResponseFormatBody | None = Field(None, description="What shape the answer must have")
    max_completion_tokens: Count | None = Field(None, description="The same as max_tokens")
    logprobs: bool | None = Field(None, description="Log probabilities of the answer's tokens")
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = Field(
        None, description="So many alternatives per token; only together with logprobs"
    )
    thinking: Annotated[bool, Field(description="Reason first, on a model that can")] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = Field(
        None, description="A switch: `none` and `minimal` are thinking off, all others on"
    )
    modalities: list[Literal["text"]] | None = None

    refused: ClassVar[dict[str, str]] = SamplingBody.refused | {
        "functions": "is not supported; use tools",
        "function_call": "is not supported; use tool_choice",
        "audio": "is not supported",
        "prediction": "is not supported",
        "web_search_options": "is not supported",
        "chat_template": "is not supported: templates are the operator's",
        "chat_template_kwargs": "is not supported; use thinking",
    }


def parse(body: ChatBody) -> ChatRequest:
    """Raises VALIDATION_ERROR with the path of the field at fault."""
    offered = tools(body.tools)
    return ChatRequest(
        messages=messages(body.messages),
        sampling=sampling(body, max_tokens=_max_tokens(body), logprobs=_logprobs(body)),
        tools=offered,
        tool_choice=tool_choice(body.tool_choice, offered),
        parallel_tool_calls=body.parallel_tool_calls is not False,
        output_format=output_format(body.response_format),
        thinking=_thinking(body),
        stream=bool(body.stream),
    )


def _max_tokens(body: ChatBody) -> int | None:
    if body.max_completion_tokens is None:
        return body.max_tokens
    if body.max_tokens not in (None, body.max_completion_tokens):
        raise invalid("max_tokens", "contradicts max_completion_tokens")
    return body.max_completion_tokens


def _logprobs(body: ChatBody) -> int | None:
    if body.logprobs:
        return body.top_logprobs or 0
    if body.top_logprobs:
        raise invalid("top_logprobs", "is only allowed together with logprobs")
    return None


def _thinking(body: ChatBody) -> bool | None:
    """Effort is a switch here: models of the contract reason or do not."""
    if body.reasoning_effort is None:
        return body.thinking
    wanted = body.reasoning_effort not in ("none", "minimal")
    if body.thinking not in (None, wanted):
        raise invalid("thinking", "contradicts reasoning_effort")
    return wanted
