"""Texts are counted exactly, refused or cut, in slices that let other requests in between."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from engines.runtime.blocking import ComputeThread
from engines.st_parts.reader import Reader, TooLong


class FakeTokenizer:
    """Every word is a token, and there is one closing token."""

    def __init__(self) -> None:
        self.limit: int | None = 8
        self.encode_special_tokens = False
        self.calls: list[int] = []

    def no_padding(self) -> None:
        return

    def no_truncation(self) -> None:
        self.limit = None

    def enable_truncation(self, limit: int, strategy: str) -> None:
        assert strategy == "longest_first"
        self.limit = limit

    def encode_batch_fast(self, texts: Sequence[str | tuple[str, str]]) -> list[Any]:
        self.calls.append(len(texts))
        return [self._encode(text if isinstance(text, str) else " ".join(text)) for text in texts]

    def _encode(self, text: str) -> Any:
        words = text.split()[: None if self.limit is None else self.limit - 1]
        ids = [len(word) for word in words] + [0]
        return SimpleNamespace(ids=ids, type_ids=[0] * len(ids))


@pytest.fixture
def tokenizer() -> FakeTokenizer:
    return FakeTokenizer()


@pytest.fixture
def reader(tokenizer: FakeTokenizer) -> Iterator[Reader]:
    made = Reader(ComputeThread("test"), tokenizer, 4)
    yield made
    made.close()


async def test_texts_come_in_order_with_their_numbers(reader: Reader) -> None:
    tokens = await reader.read(["a bb", "ccc"], truncate=False)

    assert [(text.index, text.ids) for text in tokens] == [(0, [1, 2, 0]), (1, [3, 0])]


async def test_text_of_exactly_the_limit_is_read(reader: Reader) -> None:
    assert len((await reader.read(["a a a"], truncate=False))[0].ids) == 4


async def test_longer_text_is_refused_with_its_number_and_length(reader: Reader) -> None:
    with pytest.raises(TooLong) as caught:
        await reader.read(["a", "a a a a"], truncate=False)

    assert (caught.value.index, caught.value.num_tokens) == (1, 5)


async def test_longer_text_is_cut_when_that_is_asked_for(reader: Reader, tokenizer: FakeTokenizer) -> None:
    tokens = await reader.read(["a b c d e", "a b"], truncate=True)

    assert [text.ids for text in tokens] == [[1, 1, 1, 0], [1, 1, 0]]
    assert tokenizer.limit is None


async def test_large_request_is_read_in_slices(reader: Reader, tokenizer: FakeTokenizer) -> None:
    tokens = await reader.read(["a" * 7000] * 5, truncate=False)

    assert tokenizer.calls == [2, 2, 1]
    assert [text.index for text in tokens] == [0, 1, 2, 3, 4]


async def test_huge_text_is_shortened_before_it_is_tokenised(reader: Reader) -> None:
    (text,) = await reader.read(["a" * 10_000_000], truncate=True)

    assert text.ids[0] < 100_000


async def test_spelled_control_tokens_stay_text(reader: Reader, tokenizer: FakeTokenizer) -> None:
    assert tokenizer.encode_special_tokens
