"""tuner's own plugins, which come in through the same entry points as anybody's."""
