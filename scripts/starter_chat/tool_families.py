"""The families of tools: what people often let a model do, each under several names."""

from random import Random

from starter_chat import words
from starter_chat.tool_kinds import (
    Family,
    Parameter,
    confirm,
    tell_number,
    tell_text,
    tell_time,
    tell_weather,
)


def draw_text(rng: Random) -> str:
    return " ".join(words.draw_words(rng, 1, 5))


CITY = Parameter(("city", "city", "location", "place", "town"), "string", words.draw_city)
PERSON = Parameter(("to", "recipient", "person", "name", "user"), "string", words.draw_full_name)
TEXT = Parameter(("text", "message", "body", "content"), "string", draw_text)
MINUTES = Parameter(("minutes", "duration", "time", "length"), "integer", lambda rng: rng.randint(1, 120))
QUERY = Parameter(
    ("query", "q", "text", "topic", "term"), "string", lambda rng: " ".join(words.draw_words(rng, 1, 3))
)
FIRST = Parameter(("a", "a", "x", "first", "left"), "integer", words.draw_number)
SECOND = Parameter(("b", "b", "y", "second", "right"), "integer", words.draw_number)

WEATHER = Family(
    ("get_weather", "get_weather", "weather", "get_current_weather", "current_weather", "weather_lookup"),
    (
        "Get the weather for a city",
        "Get the current weather",
        "Current weather in a city",
        "Look up the weather",
    ),
    (CITY,),
    (
        "What is the weather in {0}?",
        "What's the weather in {0}?",
        "How is the weather in {0}?",
        "Weather in {0}?",
        "How is the weather in {0} today?",
        "Tell me the weather in {0}.",
        "What is the weather like in {0}?",
        "Is it raining in {0}?",
    ),
    tell_weather,
)
CLOCK = Family(
    ("get_time", "current_time", "get_current_time", "clock"),
    ("Get the time in a city", "Current time in a city", "Tell the time"),
    (CITY,),
    ("What time is it in {0}?", "Tell me the time in {0}.", "What is the time in {0}?"),
    tell_time,
)
ADD = Family(
    ("add", "add_numbers", "sum", "plus", "calculator_add"),
    ("Add two numbers", "Add two integers", "Sum of two numbers"),
    (FIRST, SECOND),
    ("Add {0} and {1}.", "What is {0} + {1}?", "What is {0} plus {1}?", "Use the tool to add {0} and {1}."),
    tell_number("result"),
)
FAMILIES = (
    WEATHER,
    CLOCK,
    ADD,
    Family(
        ("multiply", "multiply_numbers", "times", "product"),
        ("Multiply two numbers", "Product of two numbers"),
        (FIRST, SECOND),
        ("Multiply {0} by {1}.", "What is {0} times {1}?", "What is {0} * {1}?"),
        tell_number("result"),
    ),
    Family(
        ("send_message", "message", "send_text", "send_mail", "send_email"),
        ("Send a message to a person", "Send a message"),
        (PERSON, TEXT),
        ("Send {0} the message: {1}", "Tell {0}: {1}", "Write to {0}: {1}", "Send a message to {0}: {1}"),
        confirm,
    ),
    Family(
        ("set_timer", "timer", "start_timer"),
        ("Set a timer", "Start a timer in minutes"),
        (MINUTES,),
        ("Set a timer for {0} minutes.", "Start a timer of {0} minutes.", "Wake me in {0} minutes."),
        confirm,
    ),
    Family(
        ("search", "search_web", "web_search", "find_pages"),
        ("Search the web", "Search for text"),
        (QUERY,),
        ("Search for {0}.", "Look up {0} on the web.", "Search the web for {0}."),
        tell_text("result"),
    ),
    Family(
        ("set_light", "switch_light", "light"),
        ("Set the light of a room", "Switch a light on or off"),
        (
            Parameter(("room", "place"), "string", lambda rng: rng.choice(words.ROOMS)),
            Parameter(("state", "mode", "value"), "string", lambda rng: rng.choice(("on", "off"))),
        ),
        ("Turn the light in the {0} {1}.", "Switch the {0} light {1}."),
        confirm,
    ),
    Family(
        ("play_music", "play", "play_song"),
        ("Play a song", "Play music"),
        (Parameter(("song", "title", "track"), "string", lambda rng: " ".join(words.draw_words(rng, 1, 3))),),
        ("Play {0}.", "Play the song {0}."),
        confirm,
    ),
    Family(
        ("book_hotel", "hotel", "reserve_room"),
        ("Book a hotel", "Book a room in a city"),
        (CITY, Parameter(("nights", "days"), "integer", lambda rng: rng.randint(1, 30))),
        ("Book a hotel in {0} for {1} nights.", "I need a hotel in {0} for {1} nights."),
        confirm,
    ),
    Family(
        ("create_user", "add_user", "new_user"),
        ("Create a user", "Add a user with an age"),
        (
            Parameter(("name", "user", "username"), "string", words.draw_full_name),
            Parameter(("age", "years"), "integer", lambda rng: rng.randint(1, 99)),
        ),
        ("Create a user {0}, age {1}.", "Add the user {0} who is {1} years old."),
        confirm,
    ),
    Family(
        ("get_order", "order_status", "find_order"),
        ("Get an order by number", "Look up an order"),
        (Parameter(("id", "order_id", "number"), "integer", words.draw_number),),
        ("Where is order {0}?", "Show order {0}.", "What is the status of order {0}?"),
        tell_text("status"),
    ),
    Family(
        ("convert", "convert_money", "exchange"),
        ("Convert money to a currency", "Convert an amount"),
        (
            Parameter(("amount", "value"), "integer", words.draw_number),
            Parameter(
                ("currency", "to", "target"),
                "string",
                lambda rng: rng.choice([fact[1] for fact in words.COUNTRIES.values()]),
            ),
        ),
        ("Convert {0} to {1}.", "How much is {0} in {1}?"),
        tell_number("amount"),
    ),
    Family(
        ("roll_dice", "dice", "roll"),
        ("Roll a dice", "Roll a dice with some sides"),
        (Parameter(("sides", "max"), "integer", lambda rng: rng.randint(2, 100)),),
        ("Roll a dice with {0} sides.", "Roll a {0} sided dice."),
        tell_number("result"),
    ),
)
