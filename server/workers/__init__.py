"""Workers: which run, who may use them, how they are started and ended."""
