"""Reads a Dockerfile, finds its faults and carries it out without Docker."""
