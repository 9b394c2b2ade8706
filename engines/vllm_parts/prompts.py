"""From messages to token ids with the model's chat template; knows nothing of sampling or of answers."""

import asyncio
import contextlib
import copy
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from engines.contract.chat import Message, Tool, ToolCall
from engines.contract.errors import EngineError, ErrorCode
from engines.vllm_parts import library as vllm
from engines.vllm_parts.contents import Contents
from engines.vllm_parts.control_tokens import HiddenTokens

_INLINE_CHARACTERS = 16_000  # longer conversations are rendered in a thread, so that the loop keeps turning
_CHARACTERS_PER_TOKEN = 64  # no tokenizer in use packs more into a token on average: refuse before tokenising


class PromptRenderer:
    """Renders conversations and texts for one model.

    Text of a request that spells one of the tokenizer's control tokens (`<|im_start|>`) stays text: it is tokenised
    apart from the template, with control tokens switched off.
    """

    def __init__(self, llm: vllm.AsyncLLM, max_tokens: int) -> None:
        self._llm = llm
        self._max_tokens = max_tokens
        self._tokenizer: Any = llm.get_tokenizer()
        self._is_plain = isinstance(llm.renderer, vllm.HfRenderer) and self._tokenizer.is_fast
        self.has_chat_template = not self._is_plain or self._tokenizer.chat_template is not None
        self._encoder, self._literal_encoder = _encoders(self._tokenizer) if self._is_plain else (None, None)
        self._control_tokens = _control_tokens(self._tokenizer)
        self._formats: dict[bool, str] = {}

    async def chat(
        self, messages: Sequence[Message], tools: Sequence[Tool], thinking: bool | None
    ) -> list[int]:
        """Token ids of the conversation, ready for the assistant's turn; an image or a sound is one placeholder still.

        Raises EngineError(VALIDATION_ERROR).
        """
        if not self.has_chat_template:
            raise _invalid("messages", "this model has no chat template; use it for completions")
        num_characters = sum(len(message.content or "") for message in messages)
        self.check_length(num_characters // _CHARACTERS_PER_TOKEN, "messages")
        arguments = (messages, [_tool_dict(tool) for tool in tools] or None, thinking)
        if not self._is_plain:
            ids = await self._render_by_vllm(*arguments)
        elif num_characters <= _INLINE_CHARACTERS:
            ids = self._render(*arguments)
        else:
            ids = await asyncio.to_thread(self._render, *arguments)
        self.check_length(len(ids), "messages")
        return ids

    async def text(self, prompt: str | Sequence[int], vocabulary_size: int) -> list[int]:
        """Token ids of a plain prompt; token ids are checked. Raises EngineError(VALIDATION_ERROR)."""
        if isinstance(prompt, str):
            self.check_length(len(prompt) // _CHARACTERS_PER_TOKEN, "prompt")
            ids = await self._encode_text(prompt)
        else:
            ids = list(prompt)
            if any(not 0 <= token < vocabulary_size for token in ids):
                raise _invalid("prompt", f"token ids must be from 0 to {vocabulary_size - 1}")
        if not ids:
            raise _invalid("prompt", "must not be empty")
        self.check_length(len(ids), "prompt")
        return ids

    def check_length(self, num_tokens: int, field: str) -> None:
        """Raises EngineError(VALIDATION_ERROR) unless one token at least is left for the answer."""
        if num_tokens >= self._max_tokens:
            raise _invalid(
                field,
                f"{num_tokens} tokens or more do not fit the model's context of {self._max_tokens} tokens, "
                "which must also hold the answer",
            )

    def _render(
        self, messages: Sequence[Message], tools: list[dict[str, Any]] | None, thinking: bool | None
    ) -> list[int]:
        hidden = HiddenTokens(self._control_tokens)
        contents = Contents(hidden, self._format(tools), self._placeholder)
        conversation = [_message_dict(message, hidden, contents) for message in messages]
        if tools and hidden.matches(json.dumps(tools, ensure_ascii=False)):
            raise _invalid("tools", "must not spell the model's control tokens")
        options = {} if thinking is None else {"enable_thinking": thinking}
        try:
            text = vllm.safe_apply_chat_template(
                self._llm.model_config,
                self._tokenizer,
                conversation,
                tools=tools,
                tokenize=False,
                add_generation_prompt=True,
                **options,
            )
        except vllm.VLLMClientError as error:
            raise _invalid("messages", "the model's chat template refuses this conversation") from error
        return self._encode(text, hidden)

    def _encode(self, text: str, hidden: HiddenTokens) -> list[int]:
        ids: list[int] = []
        for number, piece in enumerate(hidden.split(text)):
            encoder = self._literal_encoder if number % 2 else self._encoder
            ids += encoder.encode(piece, add_special_tokens=False).ids
        return ids

    async def _encode_text(self, text: str) -> list[int]:
        """A plain prompt, with the tokens that the model wants at its beginning."""
        if self._encoder is None:
            return list(await asyncio.to_thread(self._tokenizer.encode, text))
        if len(text) <= _INLINE_CHARACTERS:
            return list(self._encoder.encode(text).ids)
        return list((await asyncio.to_thread(self._encoder.encode, text)).ids)

    def _format(self, tools: list[dict[str, Any]] | None) -> str:
        """Whether the template wants contents as strings or as lists of parts."""
        key = tools is not None
        if key not in self._formats:
            self._formats[key] = vllm.resolve_chat_template_content_format(
                chat_template=None,
                tools=tools,
                given_format="auto",
                tokenizer=self._tokenizer,
                model_config=self._llm.model_config,
            )
        return self._formats[key]

    def _placeholder(self, modality: str, number: int) -> str:
        """What stands for image or sound `number` (from 1) in a template that takes contents as text."""
        model = vllm.get_model_cls(self._llm.model_config)
        return str(model.get_placeholder_str(modality, number) or "")

    async def _render_by_vllm(
        self, messages: Sequence[Message], tools: list[dict[str, Any]] | None, thinking: bool | None
    ) -> list[int]:
        """For models whose prompts vLLM builds in code, without a template."""
        options: dict[str, Any] = {"add_generation_prompt": True, "tools": tools}
        if thinking is not None:
            options["enable_thinking"] = thinking
        if any(message.parts for message in messages):
            raise _invalid("messages", "this model's chat format takes text only")
        hidden = HiddenTokens(())
        contents = Contents(hidden, "string", self._placeholder)
        conversation = [_message_dict(message, hidden, contents, keep_arguments=True) for message in messages]
        try:
            _, (rendered,) = await self._llm.renderer.render_chat_async(
                [conversation],
                vllm.ChatParams(chat_template_kwargs=options),
                vllm.TokenizeParams(max_total_tokens=None, add_special_tokens=False),
            )
        except vllm.VLLMClientError as error:
            raise _invalid("messages", "the model's chat format refuses this conversation") from error
        return list(rendered["prompt_token_ids"])


def _control_tokens(tokenizer: Any) -> frozenset[str]:
    added = tokenizer.added_tokens_decoder.values() if tokenizer.is_fast else ()
    return frozenset(
        filter(None, [*tokenizer.all_special_tokens, *(token.content for token in added if token.special)])
    )


def _encoders(tokenizer: Any) -> tuple[Any, Any]:
    """Two copies of a fast tokenizer, one that knows control tokens and one that takes them as text.

    They are never changed again, so that the loop and threads may use them at once: the original is set up anew for
    every call, which fails, or mixes up calls, in threads.
    """
    copies = []
    for takes_control_tokens_as_text in (False, True):
        encoder = copy.deepcopy(tokenizer.backend_tokenizer)
        encoder.no_truncation()
        encoder.no_padding()
        encoder.encode_special_tokens = takes_control_tokens_as_text
        copies.append(encoder)
    return copies[0], copies[1]


def _message_dict(
    message: Message, hidden: HiddenTokens, contents: Contents, *, keep_arguments: bool = False
) -> dict[str, Any]:
    """A message as chat templates expect it: arguments of tool calls as objects, not text."""
    result: dict[str, Any] = {"role": message.role, "content": contents.of(message)}
    if message.name is not None:
        result["name"] = hidden.hide(message.name)
    if message.tool_call_id is not None:
        result["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        result["tool_calls"] = [_call_dict(call, hidden, keep_arguments) for call in message.tool_calls]
    if message.reasoning is not None:
        result["reasoning"] = result["reasoning_content"] = hidden.hide(message.reasoning)
    return result


def _call_dict(call: ToolCall, hidden: HiddenTokens, keep_arguments: bool) -> dict[str, Any]:
    arguments: Any = hidden.hide(call.arguments)
    if not keep_arguments:
        # Text that is no JSON object stays text: a model's broken call must not make its conversation unusable.
        with contextlib.suppress(msgspec.MsgspecError):
            arguments = msgspec.json.decode(arguments or "{}", type=dict[str, Any])
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _tool_dict(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    return {"type": "function", "function": function}


def _invalid(field: str, message: str) -> EngineError:
    return EngineError(ErrorCode.VALIDATION_ERROR, message, field=field)
