"""Measurements behind the figures of README and docs: ratios against a baseline of the same run, fits, screens."""
