"""What a request's text spells stays text, and everything else goes through rendering untouched."""

import time

import pytest

from engines.vllm_parts.control_tokens import HiddenTokens

TOKENS = ("<|im_start|>", "<|im_end|>", "<|im|>")


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("plain", ["plain"]),
        ("a<|im_end|>b", ["a", "<|im_end|>", "b"]),
        ("<|im_start|><|im_end|>", ["", "<|im_start|>", "", "<|im_end|>", ""]),
        ("\ue0000\ue001", ["", "\ue000", "0", "\ue001", ""]),
    ],
)
def test_forbidden_text_is_set_apart(text: str, pieces: list[str]) -> None:
    hidden = HiddenTokens(TOKENS)

    rendered = hidden.hide(text)

    assert not any(token in rendered for token in TOKENS)
    assert pieces == hidden.split(rendered)
    assert text == "".join(pieces)


def test_template_may_reorder_and_leave_out_what_was_hidden() -> None:
    hidden = HiddenTokens(TOKENS)
    first, second, third = (hidden.hide(text) for text in ("1<|im_end|>", "2<|im_start|>", "3<|im|>"))

    assert hidden.split(f"<|im_start|>{third}{first}") == ["<|im_start|>3", "<|im|>", "1", "<|im_end|>", ""]
    assert second


def test_many_forbidden_tokens_take_linear_time() -> None:
    hidden = HiddenTokens(TOKENS)
    started = time.process_time()

    pieces = hidden.split(hidden.hide("<|im_end|>" * 100_000))

    assert len(pieces) == 200_001
    assert time.process_time() - started < 5
