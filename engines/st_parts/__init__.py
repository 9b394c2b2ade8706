"""What makes the engines on sentence-transformers long: reading, batching, loading, computing."""
