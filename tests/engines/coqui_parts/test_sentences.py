"""Texts come apart into what is spoken in one go."""

import pytest

from engines.coqui_parts.sentences import Passage, split_text


def texts(text: str, max_chars: int = 250) -> list[str]:
    return [passage.text for passage in split_text(text, max_chars)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("No end", ["No end"]),
        ("Wait... What?! Yes.", ["Wait...", "What?!", "Yes."]),
        ('He said: "No!" Then he left.', ['He said: "No!"', "Then he left."]),
        ("Dr. Smith met Mrs. Jones, e.g. at 3.5 p.m. on the A. B. Line.", None),
        ("The letter a. Then b.", ["The letter a.", "Then b."]),
        ("It was I. Go on.", ["It was I.", "Go on."]),
        ("A title\nA line\r\nAnother", ["A title", "A line", "Another"]),
        ("See example.com or v1.2.3 now.", None),
        ("\u4f60\u597d\u3002\u4e16\u754c\uff01", ["\u4f60\u597d\u3002", "\u4e16\u754c\uff01"]),
        ("  spaces\t\tand\xa0more  ", ["spaces and more"]),
        ("a\x00b\x1b[31mc", ["a b [31mc"]),
        ("- one\n- two\n***\n", ["- one", "- two"]),
    ],
)
def test_sentences(text: str, expected: list[str] | None) -> None:
    assert texts(text) == ([text] if expected is None else expected)


@pytest.mark.parametrize("text", ["", " ", "...", "?!", "\U0001f600", "\x00\x07", "\n\n", "-- \u2026 --"])
def test_nothing_is_left_where_nothing_can_be_spoken(text: str) -> None:
    assert split_text(text, 250) == []


def test_long_sentences_are_cut_after_the_last_comma_that_fits() -> None:
    parts = split_text("one two three, four five six, seven eight nine ten.", 40)

    assert parts == [Passage("one two three, four five six,", False), Passage("seven eight nine ten.", True)]


def test_without_commas_words_stay_whole() -> None:
    assert texts("word " * 20, 42) == [
        "word word word word word word word word",
        "word " * 7 + "word",
        "word word word word",
    ]


@pytest.mark.parametrize(
    "text", ["x" * 1000, "x, " * 500, "a. " * 500, "(" * 500 + "a", "ab" * 77 + " " + "c" * 500]
)
def test_no_passage_is_longer_than_allowed_and_no_letter_is_lost(text: str) -> None:
    passages = split_text(text, 100)

    def letters(value: str) -> str:
        return "".join(char for char in value if char.isalnum())

    assert max(len(passage.text) for passage in passages) <= 100
    assert letters("".join(passage.text for passage in passages)) == letters(text)
