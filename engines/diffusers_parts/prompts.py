"""Counts what a prompt is to the text encoders and refuses what none of them can read whole; cuts nothing."""

import copy
import inspect
from typing import Any, NamedTuple

from engines.diffusers_parts.options import Options
from engines.diffusers_parts.planning import refusal

_LENGTH = "max_sequence_length"


class _Reader(NamedTuple):
    tokenizer: Any
    limit: int

    def count(self, text: str) -> int:
        return len(self.tokenizer(text, truncation=False, verbose=False).input_ids)


class PromptReaders:
    """The tokenizers of a pipeline, and how much their encoders read.

    Some pipelines have several encoders, of which one reads long texts and the others add the gist of the beginning
    (SD 3.5 and FLUX: T5 beside CLIP). A prompt must be read whole by at least one.
    """

    def __init__(self, pipeline: Any, options: Options) -> None:
        length = sequence_length(pipeline, options)
        names = sorted(name for name in pipeline.components if name.startswith("tokenizer"))
        # Copies, since a tokenizer must not be used by two threads at once.
        tokenizers = [copy.deepcopy(pipeline.components[name]) for name in names if pipeline.components[name]]
        self._readers = [_Reader(tokenizer, _limit(tokenizer, length)) for tokenizer in tokenizers]

    def check(self, text: str, field: str) -> int:
        """How many tokens `text` has; 0 if the pipeline has no tokenizer.

        Raises VALIDATION_ERROR with `field` if it is too long for every encoder.
        """
        counts = [(reader.count(text), reader.limit) for reader in self._readers]
        for count, limit in counts:
            if count <= limit:
                return count
        if not counts:  # nothing is known of how this pipeline reads
            return 0
        count, limit = max(counts, key=lambda pair: pair[1])
        raise refusal(field, f"has {count} tokens, and the model reads at most {limit}")


def sequence_length(pipeline: Any, options: Options) -> int | None:
    """The window that the pipeline's call sets for its long encoder; None if its call sets none."""
    parameter = inspect.signature(type(pipeline).__call__).parameters.get(_LENGTH)
    if parameter is None:
        return None
    return options.max_prompt_tokens or int(parameter.default)


def _limit(tokenizer: Any, length: int | None) -> int:
    """CLIP's window is fixed, whatever the pipeline's call sets."""
    own = int(tokenizer.model_max_length)
    return own if length is None or type(tokenizer).__name__.startswith("CLIP") else length
