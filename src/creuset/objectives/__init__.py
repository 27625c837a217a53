"""Losses as pure functions: tensors in, a value for each sample out, in nats unless said otherwise.

Nothing here averages over the batch by itself except where a name says so: a family decides what its loss is
a mean of, so that the loss of a batch is the mean of the losses of its parts.
"""
