"""The worker process: loads one engine and serves it over a Unix socket."""
