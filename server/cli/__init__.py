"""The `hearth` command: one module per group of commands. Constructs nothing but through `app.py`."""
