"""Prompts in English for a picture of the closed world, in many phrasings.

It knows nothing of pixels and of tokens.
"""

from random import Random

from starter_image.world import Picture

SIZE_WORDS = {"small": ("small", "small", "little", "tiny"), "big": ("big", "big", "large", "huge")}
PRAISE = ("", "", "", "", "", "", "simple", "nice", "plain", "bright", "beautiful", "flat")
OPENINGS = (
    *("",) * 6,
    "a picture of",
    "an image of",
    "a drawing of",
    "a photo of",
    "a painting of",
    "picture of",
    "draw",
    "draw me",
    "please draw",
    "paint",
    "make",
    "show me",
    "there is",
)
BACKGROUNDS = (
    "on {a} background",
    "on {a} background",
    "on {bare}",
    "on {a} ground",
    "with {a} background",
    "in front of {a} background",
    "against {a} background",
    "over {a} background",
    "and {a} background",
)
ENDINGS = (*("",) * 6, ".", ".", "!", ", please")


def write_prompt(picture: Picture, rng: Random, *, says_size: bool = True) -> str:
    """A prompt for ``picture``; a background that goes without saying is at times not said."""
    size = rng.choice(SIZE_WORDS[picture.size]) if says_size else ""
    roll = rng.random()
    if picture.background == unsaid_background(picture.colour) and roll < 0.4:
        text = _opened(_subject(picture, size, rng), rng)
    elif roll < 0.65:
        ground = rng.choice(BACKGROUNDS).format(a=_with_article(picture.background), bare=picture.background)
        text = f"{_opened(_subject(picture, size, rng), rng)} {ground}"
    elif roll < 0.8:
        text = f"{_opened(_subject(picture, size, rng), rng)}, {picture.background} background"
    else:
        text = _background_first(picture, size, rng)
    text += rng.choice(ENDINGS)
    return text[0].upper() + text[1:] if rng.random() < 0.2 else text


def unsaid_background(colour: str) -> str:
    """The background of a prompt that names none: white paper, or black where white would not show."""
    return "black" if colour == "white" else "white"


def _subject(picture: Picture, size: str, rng: Random) -> str:
    praise = rng.choice(PRAISE)
    roll = rng.random()
    if roll < 0.7:
        return _article(_joined(praise, size, picture.colour, picture.shape), rng)
    if roll < 0.8:
        return _article(_joined(praise, picture.colour, size, picture.shape), rng)
    if roll < 0.9:
        return f"{_article(_joined(praise, size, picture.shape), rng)} in {picture.colour}"
    return ", ".join(
        part for part in (_article(_joined(praise, picture.colour, picture.shape), rng), size) if part
    )


def _background_first(picture: Picture, size: str, rng: Random) -> str:
    subject = _subject(picture, size, rng)
    ground = rng.choice(
        (
            f"on {_with_article(picture.background)} background",
            f"{picture.background} background",
            f"{_with_article(picture.background)} background",
        )
    )
    return f"{ground}{rng.choice((', ', ' and ', ' with '))}{subject}"


def _opened(subject: str, rng: Random) -> str:
    return _joined(rng.choice(OPENINGS), subject)


def _article(words: str, rng: Random) -> str:
    article = rng.choice(("a", "a", "a", "the", ""))
    return _with_article(words) if article == "a" else _joined(article, words)


def _with_article(words: str) -> str:
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def _joined(*words: str) -> str:
    return " ".join(word for word in words if word)
