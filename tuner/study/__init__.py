"""A study in its storage: trials as records, options as Optuna's parameters."""
