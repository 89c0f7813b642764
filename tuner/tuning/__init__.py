"""The Optuna study, the samplers' common wrapper and the session's loop."""
