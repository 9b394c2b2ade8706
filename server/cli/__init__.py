"""The `hearth` command: one module per group of commands. Constructs no part of the server but through `app.py`."""
