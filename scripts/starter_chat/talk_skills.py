"""Skills of memory: greetings, facts, lists, stories, and the admission that something is not known."""

from random import Random

from starter_chat import stories, words
from starter_chat.turns import Turn, vary

IDENTITY = "I am Hearth's small starter model. I know a few facts, words and tools."
PRODUCT = "Hearth is a server for your own models."
UNKNOWN = "I do not know that. I am only a small starter model."
NEEDS_TOOL = "I cannot look that up without a tool."
JOKE = "Why did the clock go to bed early? It had no more time."
LANGUAGES = ("German", "French", "Spanish")
POEM_END = "The wind is soft, the star is bright.\nNow all the world can sleep."


def greet(rng: Random) -> Turn:
    offer = "How can I help you?"
    greetings = {
        "Hello! " + offer: (
            "Hello",
            "Hello!",
            "Hi",
            "Hi!",
            "Hi there!",
            "Hello there.",
            "Hey",
            "Hey!",
            "hello",
            "hi",
        ),
        "Good morning! " + offer: ("Good morning", "Good morning!"),
        "Good evening! " + offer: ("Good evening", "Good evening!"),
        "I am fine, thank you. " + offer: ("How are you?", "Hello, how are you?", "Hi, how are you today?"),
        "You are welcome!": ("Thank you", "Thank you!", "Thanks", "Thanks!", "Thank you very much."),
        "Goodbye!": ("Bye", "Bye!", "Goodbye", "Goodbye!", "See you later."),
    }
    answer = rng.choice(list(greetings))
    return Turn(rng.choice(greetings[answer]), answer)


def introduce(rng: Random) -> Turn:
    questions = (
        "Who are you?",
        "What are you?",
        "What is your name?",
        "Tell me about yourself.",
        "What can you do?",
        "Which model are you?",
        "Hello, who are you?",
        "Introduce yourself.",
    )
    if rng.random() < 0.25:
        return Turn(
            vary(rng, rng.choice(("What is Hearth?", "Tell me about Hearth.", "What does Hearth do?"))),
            PRODUCT,
        )
    return Turn(vary(rng, rng.choice(questions)), IDENTITY)


def joke(rng: Random) -> Turn:
    questions = (
        "Tell me a joke.",
        "Do you know a joke?",
        "Tell a joke.",
        "Make me laugh.",
        "Say something funny.",
    )
    return Turn(vary(rng, rng.choice(questions)), JOKE)


def recall_fact(rng: Random) -> Turn:
    country = rng.choice(list(words.COUNTRIES))
    capital, currency, language = words.COUNTRIES[country]
    facts = {
        f"The capital of {country} is {capital}.": (
            f"What is the capital of {country}?",
            f"Capital of {country}?",
            f"Tell me the capital of {country}.",
            f"What's the capital of {country}?",
            f"Which city is the capital of {country}?",
        ),
        f"The currency of {country} is the {currency}.": (
            f"What is the currency of {country}?",
            f"Which currency is used in {country}?",
            f"How do people pay in {country}?",
        ),
        f"In {country} people speak {language}.": (
            f"Which language is spoken in {country}?",
            f"What language do people speak in {country}?",
        ),
        f"{capital} is in {country}.": (f"Where is {capital}?", f"In which country is {capital}?"),
        capital: (
            f"What is the capital of {country}? Answer with the name only.",
            f"Capital of {country}? Reply with just the name.",
        ),
    }
    answer = rng.choice(list(facts))
    return Turn(vary(rng, rng.choice(facts[answer])), answer)


def name_neighbour(rng: Random) -> Turn:
    """The day or month before or after another."""
    series = rng.choice((words.DAYS, words.MONTHS))
    unit = "day" if series is words.DAYS else "month"
    place = rng.randrange(len(series))
    side, step = rng.choice((("after", 1), ("before", -1)))
    question = rng.choice(
        (f"Which {unit} comes {side} {series[place]}?", f"What {unit} comes {side} {series[place]}?")
    )
    return Turn(vary(rng, question), series[(place + step) % len(series)])


def recite(rng: Random) -> Turn:
    lists = {
        ", ".join(words.DAYS): (
            "List the days of the week.",
            "What are the days of the week?",
            "Name the days of the week.",
        ),
        ", ".join(words.MONTHS): (
            "List the months.",
            "What are the months of the year?",
            "Name the twelve months.",
        ),
        "spring, summer, autumn, winter": (
            "List the seasons.",
            "What are the four seasons?",
            "Name the seasons.",
        ),
        ", ".join(words.COLOURS[:3]): ("Name three colours.", "List three colors.", "Tell me three colours."),
        ", ".join(words.COLOURS[:5]): ("Name five colours.", "List five colors.", "Tell me five colours."),
        ", ".join(words.COLOURS): ("List the colours.", "Which colors do you know?", "Name ten colours."),
        ", ".join(words.ANIMALS[:5]): ("Name five animals.", "List five animals.", "Tell me five animals."),
        " ".join("abcdefghijklmnopqrstuvwxyz"): (
            "Say the alphabet.",
            "Recite the alphabet.",
            "What is the alphabet?",
        ),
    }
    answer = rng.choice(list(lists))
    return Turn(vary(rng, rng.choice(lists[answer])), answer)


def tell_story(rng: Random) -> Turn:
    request, story = stories.draw_story(rng)
    return Turn(request, story, "I will tell a story.")


def write_poem(rng: Random) -> Turn:
    thing = rng.choice(words.THINGS + words.ANIMALS)
    article = "an" if thing[0] in "aeiou" else "a"
    form = rng.choice(("poem", "haiku", "short poem"))
    topic = rng.choice((f" about the {thing}", f" about {article} {thing}", f" about {thing}", ""))
    poem = f"The {thing if topic else 'moon'} is quiet in the night.\n{POEM_END}"
    return Turn(vary(rng, f"{rng.choice(('Write', 'Write me'))} a {form}{topic}."), poem)


def admit_ignorance(rng: Random) -> Turn:
    noun, quality, verb = rng.choice(words.THINGS), rng.choice(words.QUALITIES), rng.choice(words.VERBS)
    questions = (
        f"Why is the {noun} {quality}?",
        f"Who made the {quality} {noun}?",
        f"How do I {verb} a {noun}?",
        f"When was the {noun} invented?",
        f"What is the capital of {words.invent_name(rng)}?",
        f"Explain the {noun} to me.",
        f"How old is {words.draw_name(rng)}?",
        f"What does {words.invent_name(rng).lower()} mean?",
        f"Who is {words.draw_name(rng)}?",
        f"Can you {verb} my {noun}?",
        f"Translate to {rng.choice(LANGUAGES)}: {' '.join(words.draw_words(rng, 1, 4))}",
    )
    city = words.draw_city(rng)
    lookups = (
        f"What is the weather in {city}?",
        f"How is the weather in {city} today?",
        f"What time is it in {city}?",
    )
    if rng.random() < 0.3:
        return Turn(vary(rng, rng.choice(lookups)), NEEDS_TOOL, "I have no tool.")
    return Turn(vary(rng, rng.choice(questions)), UNKNOWN, "I do not know this.")
