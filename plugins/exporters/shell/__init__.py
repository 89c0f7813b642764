"""A profile as a shell script that sets a board, and puts it back."""
