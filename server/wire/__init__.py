"""What both dialects share: strict bodies in, contract requests out, answers as bytes. Knows no routes."""
