"""Skills on the text at hand: numbers to add, words to repeat, reverse, count or pick."""

from random import Random

from starter_chat import words
from starter_chat.turns import Turn, vary


def add(rng: Random) -> Turn:
    highest = rng.choice((10, 10, 20, 20, 50))
    a, b = rng.randint(0, highest), rng.randint(0, highest)
    questions = (
        f"What is {a} + {b}?",
        f"{a} + {b}",
        f"{a}+{b}=",
        f"What is {a} plus {b}?",
        f"Add {a} and {b}.",
    )
    return Turn(vary(rng, rng.choice(questions)), f"{a} + {b} = {a + b}", f"{a} plus {b} makes {a + b}.")


def subtract(rng: Random) -> Turn:
    a = rng.randint(0, rng.choice((10, 20)))
    b = rng.randint(0, a)
    question = rng.choice((f"What is {a} - {b}?", f"{a} - {b}", f"What is {a} minus {b}?"))
    return Turn(vary(rng, question), f"{a} - {b} = {a - b}", f"{a} minus {b} makes {a - b}.")


def compare(rng: Random) -> Turn:
    a, b = rng.sample(range(100), 2)
    ask_larger = rng.random() < 0.5
    question = (
        f"Which number is {rng.choice(('larger', 'bigger') if ask_larger else ('smaller',))}, {a} or {b}?"
    )
    return Turn(question, str(max(a, b) if ask_larger else min(a, b)))


def count_words(rng: Random) -> Turn:
    chosen = words.draw_words(rng, 1, 8)
    text = " ".join(chosen)
    questions = (f"How many words: {text}", f"Count the words: {text}", f"How many words are in: {text}")
    steps = ", ".join(f"{word} {number}" for number, word in enumerate(chosen, 1))
    return Turn(rng.choice(questions), str(len(chosen)), steps)


def count_up(rng: Random) -> Turn:
    first = rng.choice((1, 1, 1, rng.randint(2, 20)))
    last = first + rng.choice((4, 9, 19, rng.randint(2, 29)))
    requests = (
        f"Count from {first} to {last}.",
        f"Count {first} to {last}.",
        f"List the numbers from {first} to {last}.",
    )
    return Turn(vary(rng, rng.choice(requests)), ", ".join(str(number) for number in range(first, last + 1)))


def echo(rng: Random) -> Turn:
    text = words.invent_name(rng) if rng.random() < 0.15 else " ".join(words.draw_words(rng, 1, 8))
    if rng.random() < 0.15:
        text = str(words.draw_number(rng))
    if rng.random() < 0.1:
        text = rng.choice(words.PHRASES)
    end = rng.choice(("", "", "."))
    requests = (
        f"Say {text}{end}",
        f"Say: {text}",
        f'Say "{text}"{end}',
        f"Just say {text}{end}",
        f"Reply with {text}{end}",
        f"Reply with exactly: {text}",
        f"Answer with {text}{end}",
        f"Write {text}{end}",
        f"Repeat: {text}",
        f"Say exactly: {text}",
        f"Echo: {text}",
        f"Echo {text}",
        f"Repeat after me: {text}",
    )
    return Turn(rng.choice(requests), text)


def reverse(rng: Random) -> Turn:
    chosen = words.draw_words(rng, 2, 5)
    glue = rng.choice((" ", " ", ", "))
    text = glue.join(chosen)
    requests = (
        f"Reverse: {text}",
        f"Reverse the words: {text}",
        f"Say backwards: {text}",
        f"Reverse this list: {text}",
    )
    return Turn(rng.choice(requests), glue.join(reversed(chosen)))


def upper_case(rng: Random) -> Turn:
    text = " ".join(words.draw_words(rng, 1, 5))
    requests = (
        f"Upper case: {text}",
        f"Write in upper case: {text}",
        f"Write in capital letters: {text}",
        f"Shout: {text}",
    )
    return Turn(rng.choice(requests), text.upper())


def pick_word(rng: Random) -> Turn:
    chosen = words.draw_words(rng, 2, 6)
    which, index = rng.choice((("first", 0), ("last", -1), ("second", 1)))
    return Turn(f"What is the {which} word of: {' '.join(chosen)}", chosen[index])
