"""Strategy `transfer`: Bayesian optimisation whose prior is what sources teach."""
