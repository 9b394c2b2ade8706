"""How the starter image model is made: its closed world, parts, training, evaluation and card."""
