"""Programs for the engines' interpreter: each a library called as one would without a server; nothing of ours."""
