"""A session: open, ask, apply, measure, tell, stop."""
