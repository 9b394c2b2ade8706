"""What the starter speech model reads in training: sentences with punctuation, words, numbers, invented words.

Held-out sentences of the closed world never appear. It knows nothing of sound.
"""

from collections.abc import Callable
from random import Random

from starter_chat import words as chat
from starter_voice.sentences import draw_sentence, is_held_out

from starter_speech import words

_CHAT_WORDS = tuple(
    word.lower()
    for listed in (
        *(chat.WORDS, chat.TOOL_VERBS, chat.TOOL_NOUNS, chat.PARAMETER_NAMES, chat.NAMES, chat.SURNAMES),
        *(
            chat.CITIES,
            chat.MONTHS,
            chat.DAYS,
            chat.JOBS,
            chat.ROOMS,
            chat.EVENTS,
            chat.SKIES,
            chat.COUNTRIES,
        ),
        *(tuple(" ".join(facts).split()) for facts in chat.COUNTRIES.values()),
    )
    for word in listed
)
_CHAT_PHRASES = tuple(phrase.lower() for phrase in chat.PHRASES)
_QUESTION_STARTS = ("what", "where", "who", "how", "when", "why", "is", "are", "do", "does", "can", "will")

_Draw = Callable[[tuple[str, ...]], str]
_PEOPLE = ("i", "you", "we", "they", "people", "the children", "my friends", "our neighbours")
_PERSONS = ("he", "she", "it", "the teacher", "my brother", "your mother", "the old man", "nobody")
_ARTICLES = ("the", "a", "this", "that", "my", "your", "his", "her", "our", "their", "every", "no", "another")
_MODALS = ("can", "could", "will", "would", "should", "must", "may", "might", "cannot", "don't", "never")
_PLACES = (
    "in",
    "on",
    "under",
    "near",
    "behind",
    "from",
    "to",
    "into",
    "with",
    "without",
    "about",
    "between",
    "at",
)
_JOINS = ("and", "but", "because", "so", "or", "when", "while", "if", "although", "before", "after", "until")
_FREE: tuple[Callable[[_Draw], str], ...] = (
    lambda c: f"{c(_PEOPLE)} {c(_MODALS)} {c(words.VERBS)} {c(_ARTICLES)} {c(words.NOUNS)}",
    lambda c: (
        f"{c(_ARTICLES)} {c(words.QUALITIES)} {c(words.NOUNS)} is {c(words.MANNERS)} {c(words.QUALITIES)}"
    ),
    lambda c: f"{c(_PERSONS)} was {continuing(c(words.VERBS))} {c(_PLACES)} {c(_ARTICLES)} {c(words.NOUNS)}",
    lambda c: f"{c(_PERSONS)} {adding_s(c(words.VERBS))} {c(words.QUALITIES)} {adding_s(c(words.NOUNS))}",
    lambda c: (
        f"there {c(('is a', 'was a', 'is no'))} {c(words.NOUNS)} {c(_PLACES)} {c(_ARTICLES)} {c(words.NOUNS)}"
    ),
    lambda c: f"{c(words.MANNERS)} {c(_PEOPLE)} {past(c(words.VERBS))} {c(_ARTICLES)} {c(words.NOUNS)}",
    lambda c: f"please {c(words.VERBS)} the {c(words.NOUNS)} {c(_PLACES)} the {c(words.NOUNS)}",
    lambda c: (
        f"{c(('where', 'how', 'why', 'when'))} {c(('did', 'do', 'can'))} {c(_PEOPLE)} {c(words.VERBS)} it"
    ),
    lambda c: (
        f"{c(('is', 'was'))} {c(_ARTICLES)} {c(words.NOUNS)} {c(words.QUALITIES)} or {c(words.QUALITIES)}"
    ),
    lambda c: f"{c(words.LITTLE_WORDS)} {c(words.NOUNS)} {c(words.LITTLE_WORDS)} {c(words.NOUNS)}",
    lambda c: f"the {c(words.NUMBER_WORDS)} {c(words.NOUNS)} {c(_JOINS)} the {c(words.NOUNS)}",
)
_ONSETS = (
    "",
    *"bcdfghjklmnprstvwyz",
    *words.listed("bl br ch cl cr dr fl fr gl gr pl pr qu sc sh sk sl sm sn sp st sw th tr wh"),
)
_VOWELS = (*"aeiou" * 4, *words.listed("ai au ay ea ee ei ew ie oa oi oo ou ow oy ue ui ar er ir or ur"))
_CODAS = ("",) * 8 + (
    *"bdgklmnprstxz",
    *words.listed("ck ct ff ft ld ll lt mp nd ng nk nt pt rd rk rm rn rt sh sk ss st tch th ve ce ge"),
)
_SUFFIXES = (
    *[""] * 4,
    *words.listed("e ed er est ing ly ment ness ful less able tion sion ous ive al ity ize ism ist y s"),
)


def draw_text(rng: Random) -> str:
    """Lower case English, up to some 100 characters, mostly with a mark at its end."""
    text = _draw_unless_held_out(rng, _draw_phrase)
    if rng.random() < 0.12 and len(text) < 45:
        text = _draw_unless_held_out(rng, lambda rng: _continue(rng, text))
    return text + _end(rng, text)


def draw_word(rng: Random) -> str:
    """One listed word, often with an ending that fits or not, or an invented word."""
    if rng.random() < 0.3:
        return invent_word(rng)
    word = rng.choice(words.ALL_WORDS if rng.random() < 0.8 else _CHAT_WORDS)
    return rng.choice(_FORMS)(word) if len(word) > 2 and "'" not in word else word


def invent_word(rng: Random) -> str:
    """Letters that English spelling allows, so that rules are learnt and not words alone."""
    syllables = (
        rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(rng.randint(1, 3))
    )
    return "".join(syllables) + rng.choice(_SUFFIXES)


def adding_s(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    return word[:-1] + "ies" if _ends_in_consonant_y(word) else word + "s"


def past(word: str) -> str:
    """As if every verb were regular."""
    if word.endswith("e"):
        return word + "d"
    return word[:-1] + "ied" if _ends_in_consonant_y(word) else word + "ed"


def continuing(word: str) -> str:
    return word[:-1] + "ing" if word.endswith("e") and not word.endswith(("ee", "be")) else word + "ing"


def _ends_in_consonant_y(word: str) -> bool:
    return word.endswith("y") and word[-2:-1] not in tuple("aeiou")


_FORMS: tuple[Callable[[str], str], ...] = (
    *[str] * 9,
    *(adding_s, adding_s, past, continuing),
    lambda word: word + "ly",
    lambda word: word.rstrip("e") + "er",
    lambda word: "un" + word,
    lambda word: word + "'s",
)


def _draw_unless_held_out(rng: Random, draw: Callable[[Random], str]) -> str:
    while True:
        text = draw(rng)
        if not is_held_out(text.replace(",", "")):
            return text


def _draw_phrase(rng: Random) -> str:
    draw = rng.choices(
        (_closed_world, draw_free_sentence, _chat_words, _loose_words, _numbers, _invented),
        weights=(36, 28, 10, 12, 5, 9),
    )[0]
    return draw(rng)


def _continue(rng: Random, text: str) -> str:
    join = rng.choice(
        (*(", ", ", ", ". ", "! ", "? "), f" {rng.choice(_JOINS)} ", f", {rng.choice(_JOINS)} ")
    )
    return text + join + _draw_unless_held_out(rng, rng.choice((_closed_world, draw_free_sentence)))


def _closed_world(rng: Random) -> str:
    text = draw_sentence(rng, "en", held_out=False).text
    if rng.random() < 0.3:
        text = _with_comma(rng, text)
    return text


def _with_comma(rng: Random, text: str) -> str:
    parts = text.split(" ")
    place = rng.randrange(len(parts))
    return " ".join(parts[:place]) + (", " if place else "") + " ".join(parts[place:])


def draw_free_sentence(rng: Random) -> str:
    """Common words in a simple pattern, without a mark at its end."""
    return rng.choice(_FREE)(rng.choice)


def _chat_words(rng: Random) -> str:
    if rng.random() < 0.2:
        return rng.choice(_CHAT_PHRASES)
    return rng.choice((" ", " ", ", ", " and ")).join(
        rng.choice(_CHAT_WORDS) for _ in range(rng.randint(1, 5))
    )


def _loose_words(rng: Random) -> str:
    return " ".join(draw_word(rng) for _ in range(rng.randint(1, 5)))


def _numbers(rng: Random) -> str:
    return " ".join(rng.choice(words.NUMBER_WORDS) for _ in range(rng.randint(1, 6)))


def _invented(rng: Random) -> str:
    return " ".join(
        rng.choice((invent_word(rng), rng.choice(words.LITTLE_WORDS))) for _ in range(rng.randint(1, 5))
    )


def _end(rng: Random, text: str) -> str:
    last = text.replace("?", ".").replace("!", ".").split(". ")[-1]
    if last.split(" ")[0] in _QUESTION_STARTS and rng.random() < 0.8:
        return "?"
    return rng.choices((".", "", "!", "?", ","), weights=(60, 22, 8, 7, 3))[0]
