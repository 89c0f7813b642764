"""A measured table: its text, what its columns mean, its numbers."""
