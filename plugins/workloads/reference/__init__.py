"""Workload `reference`: a small network with synthetic weights."""
