"""Building blocks that families compose.

No layer keeps statistics of a batch and none draws from torch's global generator after it was built: what a
layer makes of one sample depends on that sample, the weights and the BatchGenerator alone.
"""
