"""What the two starter models of speech share: the sentences they know and the voice they learn from."""
