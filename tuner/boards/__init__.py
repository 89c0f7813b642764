"""What a board has and what may be written on it, from the files in `profiles/boards/`."""
