"""Knowledge carried from a source environment to a target."""
