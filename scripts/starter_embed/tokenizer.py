"""The student's WordPiece tokenizer: learnt from its texts and from the words that the teacher knows.

It knows nothing of models.
"""

from collections.abc import Iterable, Iterator

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import WordPiece
from transformers import BertTokenizerFast

MAX_TOKENS = 256
VOCABULARY_SIZE = 9000
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_COMMONEST_WORD_COUNT = 150_000
"""How often the teacher's first word counts as met; the others fall with their rank, as words do in English."""


def build_tokenizer(texts: Iterable[str], common_words: list[str], *, size: int) -> BertTokenizerFast:
    """``common_words`` come most frequent first."""
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=_SPECIAL,
        initial_alphabet=[chr(code) for code in range(33, 127)],
        limit_alphabet=200,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_weighted(texts, common_words), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return BertTokenizerFast(tokenizer_object=tokenizer, do_lower_case=True, model_max_length=MAX_TOKENS)


def _weighted(texts: Iterable[str], common_words: list[str]) -> Iterator[str]:
    yield from texts
    for rank, word in enumerate(common_words):
        count = _COMMONEST_WORD_COUNT // (rank + 20)
        yield " ".join([word] * count)
