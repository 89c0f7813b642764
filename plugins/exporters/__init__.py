"""Profile exporters."""
