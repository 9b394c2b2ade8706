"""A contact sheet: pictures of several prompts and seeds side by side, on one HTML page that needs no server.

    export HEARTH_API_KEY=sgk_...
    python examples/picture_sheet.py "a red circle on a blue background" "a small green square" --seeds 1 2 3

Needs nothing but Python. All pictures are asked for at once: those of one size share the model's batches.
"""

import argparse
import html
import json
import os
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Pictures by {model}</title>
<style>
  body {{ font: 16px/1.4 system-ui, sans-serif; margin: 2rem; }}
  th {{ text-align: left; font-weight: normal; padding-right: 1rem; max-width: 16rem; }}
  img {{ width: {width}px; image-rendering: pixelated; display: block; }}
</style>
<h1>{model}</h1>
<table>
<tr><th></th>{heads}</tr>
{rows}
</table>
"""


class Place(NamedTuple):
    """Where the server is, and what it shall draw with."""

    url: str
    key: str
    model: str
    size: str


def draw(place: Place, prompt: str, seed: int) -> str:
    """One picture as base64. Raises SystemExit with the server's words if it is refused."""
    body = {
        "model": place.model,
        "prompt": prompt,
        "size": place.size,
        "seed": seed,
        "response_format": "b64_json",
    }
    request = urllib.request.Request(
        f"{place.url}/v1/inference/images/generate",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {place.key}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            return str(json.load(answer)["data"]["data"][0]["b64_json"])
    except urllib.error.HTTPError as refusal:
        raise SystemExit(f"{prompt!r}: {json.load(refusal)['error']['message']}") from None


def make_sheet(place: Place, prompts: list[str], seeds: list[int], *, width: int) -> str:
    """The page: a row for each prompt, a column for each seed."""
    wanted = [(prompt, seed) for prompt in prompts for seed in seeds]
    with ThreadPoolExecutor(max_workers=8) as pool:
        pictures = dict(zip(wanted, pool.map(lambda each: draw(place, *each), wanted), strict=True))
    rows = []
    for prompt in prompts:
        cells = (f'<td><img src="data:image/png;base64,{pictures[prompt, seed]}"></td>' for seed in seeds)
        rows.append(f"<tr><th>{html.escape(prompt)}</th>{''.join(cells)}</tr>")
    heads = "".join(f"<td>seed {seed}</td>" for seed in seeds)
    return PAGE.format(model=html.escape(place.model), width=width, heads=heads, rows="\n".join(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw a contact sheet.")
    parser.add_argument("prompts", nargs="+", help="what to draw, a row for each")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4], help="a column for each")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--model", default="starter/image")
    parser.add_argument("--size", default="auto", help="for example 1024x1024 [default: the model's]")
    parser.add_argument("--width", type=int, default=192, help="of a picture on the page, in pixels")
    parser.add_argument("--out", type=Path, default=Path("pictures.html"))
    given = parser.parse_args()
    place = Place(given.url.rstrip("/"), os.environ.get("HEARTH_API_KEY", ""), given.model, given.size)
    given.out.write_text(make_sheet(place, given.prompts, given.seeds, width=given.width), encoding="utf-8")
    print(f"{len(given.prompts) * len(given.seeds)} pictures in {given.out}")


if __name__ == "__main__":
    main()
