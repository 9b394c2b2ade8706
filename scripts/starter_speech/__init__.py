"""How the starter speech model is made: its texts, its teacher's voice, training, evaluation and card."""
