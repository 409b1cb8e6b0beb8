"""A dataset and its reward for other trainers: what each wants, so that nobody has to write a line.

`reward_file` makes one file of the standard library out of the reward; `rows` writes the rows that fit a model, counted
by its own chat template; `targets` says what else goes to which trainer, and `write` puts it together.
"""
