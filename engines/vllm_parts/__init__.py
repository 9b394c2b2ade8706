"""What the engines over vLLM are made of; only those engines import it, `library` is its one door to vLLM."""
