"""One revision a file; `migrate` finds them here."""
