"""Read, validate and write profile files."""
