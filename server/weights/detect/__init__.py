"""From what a model says of itself to the engine that serves it: pure functions, one file for each kind of model."""

from server.weights.detect.detected import Detected
from server.weights.detect.table import detect

__all__ = ["Detected", "detect"]
