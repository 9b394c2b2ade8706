"""What the facts mean: pure functions from facts to findings, each with its fix in one line."""
