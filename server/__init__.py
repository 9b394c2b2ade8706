"""The API process: HTTP on one side, workers on the other. Never imports a model library."""
