"""Kills, power cuts and restarts against real servers, and the checker that says whether anything was lost.

The servers' engines and PostgreSQL are the tests' fakes of this checkout, from wherever the program was started.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
