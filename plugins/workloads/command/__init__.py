"""Workload `command`: any shell line, timed or with the metrics that it prints."""
