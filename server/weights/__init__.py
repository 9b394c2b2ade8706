"""Weights on this machine: fetched from a hub, recognised, locked, verified. Only the command line imports it.

The server itself never fetches weights: that this package is the only one that speaks to a hub, and that the server
does not know it, is what keeps the server offline.
"""
