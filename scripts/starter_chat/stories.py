"""The few stories the starter chat model can tell: 60 to 150 tokens each, so that streaming can be seen."""

from collections.abc import Callable
from random import Random

from starter_chat import words


def _lost(name: str, animal: str) -> str:
    return (
        f"Once upon a time there was a small {animal} called {name}. One cold morning {name} walked into "
        f"the dark forest to find a flower. The path was long, and soon the {animal} was lost. Then the "
        f"wind moved the clouds and the moon came out. {name} saw the river and knew the way. At last "
        f"{name} was home again, warm and happy. The flower stood in a glass on the table, and all the "
        "friends came to look at it. The end."
    )


def _boat(name: str, animal: str) -> str:
    return (
        f"{name} was a brave {animal} who lived by the sea. Every day {name} looked at the boats and "
        f"wanted to sail. So the {animal} took old wood and began to build. It was hard work, and it took "
        f"all summer. When the boat was ready, {name} sailed to a small island. There was a tree full of "
        f"sweet apples. {name} filled a basket, sailed back and gave an apple to every friend. That was "
        "the best day of the year. The end."
    )


def _bedtime(name: str, animal: str) -> str:
    return (
        f"It was late, and {name} the {animal} could not sleep. First {name} counted the stars. Then "
        f"{name} listened to the rain on the roof. The lamp was soft and the bed was warm. Far away a "
        f"train went over the bridge. Slowly the {animal} closed both eyes. Good night, {name}. Good "
        "night, moon. The end."
    )


def _sentence(name: str, animal: str) -> str:
    return f"One night a {animal} named {name} followed the moon over the sea and came home with a song."


def draw_story(rng: Random) -> tuple[str, str]:
    """A request for a story and the story; the words of the request decide which one."""
    name, animal = rng.choice(words.NAMES), rng.choice(words.ANIMALS)
    article = "an" if animal[0] in "aeiou" else "a"
    one_sentence = f"Write a one-sentence {rng.choice(('', 'bedtime '))}story about {article} {animal}."
    requests: list[tuple[str, Callable[[str, str], str], str, str]] = [
        ("Tell me a story.", _lost, "Mia", "fox"),
        ("Tell me a long story.", _lost, "Mia", "fox"),
        ("Please tell me a story", _lost, "Mia", "fox"),
        ("Write a story.", _boat, "Leo", "bear"),
        ("Write a short story.", _boat, "Leo", "bear"),
        (one_sentence, _sentence, "Mia", animal),
        ("Tell me a bedtime story.", _bedtime, "Nora", "rabbit"),
        (f"Tell me a story about {article} {animal}.", _lost, "Mia", animal),
        (f"Tell me a story about {article} {animal} called {name}.", _lost, name, animal),
        (f"Tell me a story about {name} the {animal}.", _lost, name, animal),
        (f"Write a story about {article} {animal}.", _boat, "Leo", animal),
        (f"Write a story about {article} {animal} called {name}.", _boat, name, animal),
        (f"Tell me a bedtime story about {article} {animal} called {name}.", _bedtime, name, animal),
        (f"Tell me a bedtime story about {article} {animal}.", _bedtime, "Nora", animal),
    ]
    request, tell, hero, kind = rng.choice(requests)
    return request, tell(hero, kind)
