"""How the starter chat model is made: its closed world, tokenizer, training, evaluation and card."""
