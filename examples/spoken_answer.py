"""A spoken answer: asks a chat model a question, as text or as a recording, and speaks what it says into a file.

    export HEARTH_API_KEY=sgk_...
    python examples/spoken_answer.py "What is the capital of France?" --out answer.mp3
    python examples/spoken_answer.py --recording question.wav --out answer.wav

Needs the package `openai`. The answer is spoken while the model still writes: each sentence is asked for as soon as it
is complete, and written behind the one before. MP3, AAC and PCM may be put together like this.
"""

import argparse
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import openai

JOINABLE = {".mp3": "mp3", ".aac": "aac", ".pcm": "pcm"}
WHOLE = {".wav": "wav", ".flac": "flac", ".opus": "opus", ".ogg": "opus"}
SENTENCE = re.compile(r"(.+?[.!?])\s+", re.DOTALL)


def write_down(client: openai.OpenAI, recording: Path, model: str) -> str:
    with recording.open("rb") as file:
        return client.audio.transcriptions.create(model=model, file=file).text.strip()


def answer(client: openai.OpenAI, question: str, model: str) -> Iterator[str]:
    """The model's answer as it comes."""
    stream = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": question}], stream=True
    )
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            yield chunk.choices[0].delta.content


def sentences(pieces: Iterable[str]) -> Iterator[str]:
    """Whole sentences, as soon as each is complete."""
    text = ""
    for piece in pieces:
        text += piece
        while found := SENTENCE.match(text):
            yield found[1]
            text = text[found.end() :]
    if text.strip():
        yield text.strip()


def speak(client: openai.OpenAI, text: str, given: argparse.Namespace) -> Iterator[bytes]:
    suffix = given.out.suffix
    with client.audio.speech.with_streaming_response.create(
        model=given.speech_model,
        voice=given.voice,
        input=text,
        response_format=(JOINABLE | WHOLE)[suffix],  # type: ignore[arg-type]  # checked by the parser's caller
    ) as sound:
        yield from sound.iter_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description="Speak the answer to a question.")
    parser.add_argument("question", nargs="?")
    parser.add_argument("--recording", type=Path, help="the question as a sound file, instead of text")
    parser.add_argument(
        "--out", type=Path, default=Path("answer.mp3"), help="mp3, aac, pcm, wav, flac or opus"
    )
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--chat-model", default="starter/chat")
    parser.add_argument("--speech-model", default="starter/speech")
    parser.add_argument("--listening-model", default="starter/transcribe")
    parser.add_argument("--voice", default="alloy")
    given = parser.parse_args()
    if (given.question is None) == (given.recording is None):
        parser.error("give a question or a recording")
    if given.out.suffix not in JOINABLE | WHOLE:
        parser.error(f"--out must end with one of {', '.join(JOINABLE | WHOLE)}")
    client = openai.OpenAI(base_url=f"{given.url.rstrip('/')}/oai/v1", api_key=os.environ["HEARTH_API_KEY"])
    question = given.question or write_down(client, given.recording, given.listening_model)
    print(f"Question: {question}")
    pieces = sentences(answer(client, question, given.chat_model))
    texts = pieces if given.out.suffix in JOINABLE else [" ".join(pieces)]
    with given.out.open("wb") as file:
        for text in texts:
            print(f"Answer: {text}")
            for data in speak(client, text, given):
                file.write(data)


if __name__ == "__main__":
    main()
