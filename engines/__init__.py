"""Engine wrappers and everything a worker process needs; knows neither HTTP nor the server."""
