"""Subtitles for films and recordings: writes an .srt file beside each.

    export HEARTH_API_KEY=sgk_...
    python examples/subtitle_maker.py talk.mp4 interview.mp3 --language en

Needs nothing but Python. The server finds the sound in a film by itself; a file may have 25 MB unless its operator
allows more.
"""

import argparse
import json
import os
import secrets
import urllib.error
import urllib.request
from pathlib import Path


def form_of(fields: dict[str, str], file: Path) -> tuple[bytes, str]:
    """A multipart form as bytes, and its content type."""
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="media"\r\n\r\n'
    parts += [head.encode(), file.read_bytes(), f"\r\n--{boundary}--\r\n".encode()]
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def subtitles(url: str, file: Path, fields: dict[str, str]) -> str:
    """The file's speech as SubRip text. Raises SystemExit with the server's words if it is refused."""
    body, content_type = form_of(fields | {"response_format": "srt"}, file)
    request = urllib.request.Request(
        f"{url}/v1/inference/audio/transcribe",
        data=body,
        headers={
            "Authorization": f"Bearer {os.environ.get('HEARTH_API_KEY', '')}",
            "Content-Type": content_type,
            "Accept": "application/x-subrip, application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            text: str = answer.read().decode()
            return text
    except urllib.error.HTTPError as refusal:
        raise SystemExit(f"{file}: {json.load(refusal)['error']['message']}") from None


def main() -> None:
    parser = argparse.ArgumentParser(description="Write subtitles beside films and recordings.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--language", help="ISO 639-1 code of what is spoken [default: it is detected]")
    parser.add_argument("--prompt", help="names and words that occur")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--model", default="starter/transcribe")
    given = parser.parse_args()
    fields = {"model": given.model, "language": given.language, "prompt": given.prompt}
    fields = {name: value for name, value in fields.items() if value}
    for file in given.files:
        target = file.with_suffix(".srt")
        target.write_text(subtitles(given.url.rstrip("/"), file, fields), encoding="utf-8")
        print(target)


if __name__ == "__main__":
    main()
