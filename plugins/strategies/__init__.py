"""Strategies (samplers)."""
