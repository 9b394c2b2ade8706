"""What stands in a message for the chat template: text, and places for images and sound. Knows no tokens."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from engines.contract.chat import AudioPart, Message, TextPart
from engines.vllm_parts.control_tokens import HiddenTokens


class Contents:
    """Of one conversation, message by message in order.

    `form` is what the template takes: `openai` for a list of parts, `string` for text, in which `placeholder(modality,
    number)` holds the place of the conversation's image or sound `number`.
    """

    def __init__(self, hidden: HiddenTokens, form: str, placeholder: Callable[[str, int], str]) -> None:
        self._hidden = hidden
        self._takes_parts = form == "openai"
        self._placeholder = placeholder
        self._num_media: Counter[str] = Counter()

    def of(self, message: Message) -> Any:
        if not message.parts:
            text = self._hidden.hide(message.content or "")
            return [_text(text)] if self._takes_parts and message.role != "tool" else text
        if self._takes_parts:
            return [
                _text(self._hidden.hide(part.text))
                if isinstance(part, TextPart)
                else {"type": _modality(part)}
                for part in message.parts
            ]
        return "".join(
            self._hidden.hide(part.text) if isinstance(part, TextPart) else self._place(_modality(part))
            for part in message.parts
        )

    def _place(self, modality: str) -> str:
        self._num_media[modality] += 1
        return self._placeholder(modality, self._num_media[modality])


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _modality(part: object) -> str:
    return "audio" if isinstance(part, AudioPart) else "image"
