"""The starter transcriber: spoken data, tokenizer, training, export and evaluation."""
