"""Performance models."""
