"""Looks at this machine, topic by topic. Judges nothing and changes nothing."""
