"""Why weights cannot be fetched, recognised or trusted, in words for the operator. Knows no cause."""


class WeightsError(Exception):
    """The command ends here; the message says what to do. No text of a hub or of a model is in it."""


class NotServed(WeightsError):
    """The model is of a kind that no engine of Hearth serves."""
