"""Small pieces of HTML for the API reference; every piece escapes what it is given. Pure."""

import re
from collections.abc import Sequence
from html import escape


def path(path: str) -> str:
    """Long paths may break after slashes and dots only."""
    return re.sub(r"([/.])", r"\1<wbr>", escape(path))


def field(name: str) -> str:
    """The name stands out from where it is."""
    place, dot, last = name.rpartition(".")
    return f'<span class="place">{path(place + dot)}</span>{escape(last)}' if dot else escape(last)


def paragraphs(text: str) -> str:
    """Plain text with `code` in it."""
    return "".join(f"<p>{inline(part)}</p>" for part in re.split(r"\n\s*\n", text.strip()) if part)


def inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def block(text: str) -> str:
    return f"<pre><code>{escape(text)}</code></pre>"


def fold(title: str, content: str) -> str:
    """`content` is HTML that shows when the title is clicked."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML. Nothing if there are no rows."""
    if not rows:
        return ""
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
