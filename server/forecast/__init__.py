"""What loading a backend would take, said before: parts of the memory, flags, time, settings that would fit."""

from server.forecast.forecasting import Forecast, Forecaster
from server.forecast.together import Together

__all__ = ["Forecast", "Forecaster", "Together"]
