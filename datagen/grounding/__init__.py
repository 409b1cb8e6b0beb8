"""Tags, answers and rewards: the contract with a trainer, by the standard library alone."""
