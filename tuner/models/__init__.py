"""Performance models that plugins share."""
