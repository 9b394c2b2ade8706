"""The contract that both sides of the socket stand on: requests, events, errors, backend specs, frames.

Lowest layer of the API process and of every worker. Imports nothing but msgspec.
"""
