"""Optuna's own samplers as strategies."""
