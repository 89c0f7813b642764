"""Strategy `transfer`: Bayesian optimisation with a prior that is learned from sources."""
