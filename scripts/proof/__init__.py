"""Kills, power cuts and restarts against real servers, and the checker that says whether anything was lost."""
