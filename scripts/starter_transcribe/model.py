"""The transcriber while it learns: a Whisper of Hugging Face's and a second head that spells what it hears.

The head is what makes so small an encoder align with speech at all (CTC); it is thrown away afterwards.
"""

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, ctc_loss, gelu
from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

from starter_transcribe.batches import IGNORED, WHOLE_FRAMES, Batch
from starter_transcribe.tokenizer import LETTERS, TIMESTAMPS_PER_S, WINDOW_S, read_ids

WIDTH = 128
NUM_LAYERS = 2
NUM_HEADS = 4


class Transcriber(nn.Module):
    def __init__(self, tokenizer: Tokenizer, *, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.whisper = _build_whisper(tokenizer)
        self.speller = nn.Linear(WIDTH, len(LETTERS) + 1)
        times = self.whisper.model.encoder.embed_positions.weight.detach()
        first_time, num_times = read_ids(tokenizer).first_time, WINDOW_S * TIMESTAMPS_PER_S
        with torch.no_grad():
            # A time and the place it stands for begin alike, so that pointing at one yields the other.
            embeddings = self.whisper.model.decoder.embed_tokens.weight
            embeddings[first_time : first_time + num_times] = 0.02 * times / times.std()

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Of the transcript and of the spelling."""
        heard = self.encode(batch.features)
        logits = self.decode(batch.ids, heard)
        transcript = cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORED)
        spelling = self.speller(heard).log_softmax(-1).transpose(0, 1)
        lengths = torch.tensor([len(letters) for letters in batch.letters])
        letters = torch.tensor([letter for letters in batch.letters for letter in letters])
        num_steps = torch.full_like(lengths, heard.size(1))
        # Per letter, so that long windows do not outweigh short ones.
        spelled = ctc_loss(spelling, letters, num_steps, lengths, zero_infinity=True)
        return transcript, spelled

    def encode(self, features: Tensor) -> Tensor:
        """`(windows, frames / 2, width)`: Hugging Face's encoder, which itself insists on 3000 frames."""
        encoder = self.whisper.model.encoder
        hidden = gelu(encoder.conv2(gelu(encoder.conv1(features)))).transpose(1, 2)
        hidden = hidden + encoder.embed_positions.weight[: hidden.size(1)]
        for layer in encoder.layers:
            hidden = layer(hidden, None)
        return encoder.layer_norm(hidden)

    def decode(self, ids: Tensor, heard: Tensor) -> Tensor:
        decoded = self.whisper.model.decoder(input_ids=ids, encoder_hidden_states=heard, use_cache=False)
        return self.whisper.proj_out(decoded.last_hidden_state)


def _build_whisper(tokenizer: Tokenizer) -> WhisperForConditionalGeneration:
    ids = read_ids(tokenizer)
    marks = {
        "pad_token_id": ids.end,
        "bos_token_id": ids.end,
        "eos_token_id": ids.end,
        "decoder_start_token_id": ids.start,
    }
    config = WhisperConfig(
        vocab_size=tokenizer.get_vocab_size(),
        num_mel_bins=80,
        d_model=WIDTH,
        encoder_layers=NUM_LAYERS,
        decoder_layers=NUM_LAYERS,
        encoder_attention_heads=NUM_HEADS,
        decoder_attention_heads=NUM_HEADS,
        encoder_ffn_dim=4 * WIDTH,
        decoder_ffn_dim=4 * WIDTH,
        max_source_positions=WHOLE_FRAMES // 2,
        max_target_positions=448,
        dropout=0.0,
        suppress_tokens=None,
        begin_suppress_tokens=None,
        **marks,
    )
    whisper = WhisperForConditionalGeneration(config)
    whisper.generation_config = GenerationConfig(
        max_length=448,
        suppress_tokens=[],
        begin_suppress_tokens=[],
        lang_to_id={f"<|{language}|>": index for language, index in ids.languages.items()},
        task_to_id={"transcribe": ids.transcribe, "translate": tokenizer.token_to_id("<|translate|>")},
        is_multilingual=True,
        no_timestamps_token_id=ids.no_timestamps,
        **marks,
    )
    return whisper
