"""The API process: HTTP on one side, workers on the other. Never imports a model library."""

__version__ = "0.1.0"
