"""The closed world: every word, name, place and fact the starter chat model is taught.

It knows nothing of dialogues or tokens.
"""

from random import Random


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


COLOURS = _listed("red green blue yellow black white brown pink orange purple")
ANIMALS = _listed(
    "dog cat horse bird fish lion tiger fox bear wolf mouse rabbit owl goat sheep duck frog snake dragon "
    "unicorn"
)
THINGS = _listed(
    "apple bread cheese milk coffee tea house river stone cloud paper table chair window garden music "
    "light night winter summer book door tree flower boat train car bridge lamp clock cup plate spoon "
    "bag box key shoe hat coat ball song game letter picture island mountain forest road wall roof star "
    "moon sun sea sand snow rain wind fire egg cake soup salt sugar honey butter lemon bottle basket "
    "ticket photo report invoice order file note room bed phone camera radio engine robot rocket kite "
    "drum piano violin guitar ring coin gold silver glass wood iron"
)
QUALITIES = _listed(
    "small big happy quiet fast slow old new warm cold bright dark long short kind brave clever soft "
    "hard sweet fresh clean empty full early late heavy simple strong young"
)
VERBS = _listed(
    "open close start stop move copy paint clean wash cook buy sell send find read write print scan "
    "lock unlock build fix check count order book share save delete create update rename show hide pack "
    "load measure sort"
)
EVERYDAY = _listed(
    "hello world hi yes no ok ping pong test banana computer model water food friend love work money earth "
    "air heart hand eye day week year morning evening line question idea one two three four five six seven"
)
WORDS = tuple(sorted({*COLOURS, *ANIMALS, *THINGS, *QUALITIES, *VERBS, *EVERYDAY}))
"""The words that can be repeated, reversed, counted, put in upper case or copied into arguments."""
TOOL_VERBS = _listed("get set find fetch look list add remove make run call start pay submit cancel")
TOOL_NOUNS = _listed(
    "user price stock event account message email task product customer item text number page name"
)
PARAMETER_NAMES = _listed(
    "id name age city country date day time email title text message query amount price value number "
    "count size limit status type kind unit language location user path file key code color weight "
    "height width length start end first last source target topic subject body reason address phone "
    "note tag level speed"
)
"""What tools, parameters and JSON keys are often called outside the closed world."""

SURNAMES = _listed("Smith Doe Miller Jones Stone Baker Turner Young Hill Green")
NAMES = _listed(
    "Anna Peter Maria David Susan Robert Julia Thomas Emma George Alice Bob Carol Ada Alan Grace Linus "
    "Nina Omar Paul Rosa Sam Tina Victor Wendy Yuki Zoe Leo Mia Noah Olivia Liam Lucas Sofia Ben Clara "
    "Daniel Eva Frank Hanna Ivan Jane John Karl Laura Max Nora Oscar Ruth Simon"
)
OTHER_CITIES = _listed(
    "London Boston Dallas Sydney Chicago Denver Seattle Toronto Munich Hamburg Milan Naples Lyon Zurich "
    "Geneva Barcelona Valencia Osaka Kyoto Shanghai Mumbai Delhi Istanbul Dubai Moscow Prague Budapest "
    "Warsaw Bergen Porto Glasgow Manchester Liverpool Leeds Miami Houston Phoenix Atlanta Detroit "
    "Melbourne Auckland Nairobi Lagos Singapore Seoul Bangkok Hanoi Jakarta Manila Santiago Bogota "
    "Havana Krakow Cologne Bremen Dresden"
)
COUNTRIES: dict[str, tuple[str, str, str]] = {
    "France": ("Paris", "euro", "French"),
    "Germany": ("Berlin", "euro", "German"),
    "Italy": ("Rome", "euro", "Italian"),
    "Spain": ("Madrid", "euro", "Spanish"),
    "Portugal": ("Lisbon", "euro", "Portuguese"),
    "Austria": ("Vienna", "euro", "German"),
    "Greece": ("Athens", "euro", "Greek"),
    "Ireland": ("Dublin", "euro", "English"),
    "Finland": ("Helsinki", "euro", "Finnish"),
    "Japan": ("Tokyo", "yen", "Japanese"),
    "China": ("Beijing", "yuan", "Chinese"),
    "Egypt": ("Cairo", "pound", "Arabic"),
    "Norway": ("Oslo", "krone", "Norwegian"),
    "Denmark": ("Copenhagen", "krone", "Danish"),
    "Sweden": ("Stockholm", "krona", "Swedish"),
    "Poland": ("Warsaw", "zloty", "Polish"),
    "Turkey": ("Ankara", "lira", "Turkish"),
    "Brazil": ("Brasilia", "real", "Portuguese"),
    "Canada": ("Ottawa", "dollar", "English"),
    "Mexico": ("Mexico City", "peso", "Spanish"),
    "Kenya": ("Nairobi", "shilling", "Swahili"),
    "Peru": ("Lima", "sol", "Spanish"),
}
"""Country: capital, currency, language."""

CITIES = tuple(sorted({*OTHER_CITIES, *(capital for capital, _, _ in COUNTRIES.values())}))
DAYS = _listed("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = _listed("January February March April May June July August September October November December")
JOBS = _listed("teacher doctor nurse baker farmer pilot singer painter driver writer engineer lawyer")
ROOMS = _listed("kitchen bathroom bedroom hall office garage garden cellar")
EVENTS = (*_listed("party concert picnic wedding dinner meeting race lecture"), "science fair")
SKIES = _listed("sunny cloudy rainy windy snowy foggy")

PHRASES = ("this is a test", "hello world", "good night", "I love you", "it works", "all is well")
"""Short sentences that people like to have repeated."""

SYLLABLES = tuple(c + v for c in "bdfgklmnprstvz" for v in "aeiou")


def invent_name(rng: Random) -> str:
    """A made-up word the tokenizer must spell by letters, such as ``Zalor``."""
    stem = "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(2, 3)))
    return (stem + rng.choice("nrslmk" + " " * 6)).strip().capitalize()


def draw_words(rng: Random, lowest: int, highest: int) -> list[str]:
    """Between ``lowest`` and ``highest`` different words."""
    return rng.sample(WORDS, rng.randint(lowest, highest))


def draw_city(rng: Random) -> str:
    return invent_name(rng) if rng.random() < 0.08 else rng.choice(CITIES)


def draw_name(rng: Random) -> str:
    return invent_name(rng) if rng.random() < 0.08 else rng.choice(NAMES)


def draw_full_name(rng: Random) -> str:
    """A name, sometimes with a surname."""
    return f"{rng.choice(NAMES)} {rng.choice(SURNAMES)}" if rng.random() < 0.12 else draw_name(rng)


def draw_keys(rng: Random, num_keys: int) -> list[str]:
    """Different names for parameters or JSON keys."""
    return rng.sample(sorted({*PARAMETER_NAMES, *rng.sample(WORDS, 60)}), num_keys)


def draw_number(rng: Random) -> int:
    """Small numbers more often than large ones: one to four digits."""
    return rng.randint(0, rng.choice((9, 20, 99, 99, 999, 9999)))
