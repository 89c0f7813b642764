"""Apply a configuration as a transaction: journal, write, verify, restore. Standard library only."""
