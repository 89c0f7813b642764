"""The live terminal view: state reduced from events, drawn with rich."""
