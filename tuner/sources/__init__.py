"""Measurements of other environments: from tables, studies and source files; learned, compared, written."""
