"""How the starter speech model is made: its texts, its teacher's voice, training, evaluation and card.

Importing it makes coqui-tts importable where torchcodec is missing, as the engine does.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))

from engines.coqui_parts.library import import_tts

import_tts()
