"""Device `emulated`: a physics model of a board, in virtual time."""
