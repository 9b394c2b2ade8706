"""The loop closes: what the server speaks, the server writes down. Sentences and voice were never in any training."""

from random import Random

import openai
import pytest

from scripts.starter_voice.sentences import draw_sentence
from tests.e2e.conftest import RunningServer

pytestmark = pytest.mark.engines

NUM_SENTENCES = 24
MOST_WRONG = 0.25
"""Word error rate that must not be exceeded; the cards of the two models say what was measured over more sentences."""


def num_errors(expected: list[str], heard: list[str]) -> int:
    """Words to insert, delete or replace to make one out of the other (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(expected, start=1):
        diagonal, row[0] = row[0], number
        for place, other in enumerate(heard, start=1):
            diagonal, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, diagonal + (word != other)),
            )
    return row[-1]


def words(text: str) -> list[str]:
    return "".join(letter for letter in text.lower() if letter.isalpha() or letter == " ").split()


@pytest.mark.parametrize("audio_format", ["wav", "mp3"])
def test_spoken_sentences_come_back_as_text(server: RunningServer, audio_format: str) -> None:
    client = openai.OpenAI(base_url=f"{server.url}/oai/v1", api_key=server.key, timeout=300)
    rng = Random(audio_format)
    wrong = spoken = 0
    for _ in range(NUM_SENTENCES):
        text = draw_sentence(rng, "en", held_out=True).text
        speech = client.audio.speech.create(
            model="starter/speech",
            voice="alloy",
            input=f"{text.capitalize()}.",
            response_format=audio_format,  # type: ignore[arg-type]  # one of the literals
        )
        heard = client.audio.transcriptions.create(
            model="starter/transcribe", file=(f"speech.{audio_format}", speech.content), language="en"
        )
        wrong += num_errors(words(text), words(heard.text))
        spoken += len(words(text))

    assert wrong / spoken <= MOST_WRONG, f"word error rate {wrong / spoken:.3f}"


def test_errors_are_counted_by_words() -> None:
    assert num_errors(["a", "b", "c"], ["a", "x", "c", "d"]) == 2
