"""Warm-up, repeats, stopping rule, energy and statistics of one trial."""
