import torch

torch.set_num_threads(1)  # two that spin-wait on busy cores are ten times slower
