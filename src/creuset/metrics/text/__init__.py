"""Text metrics, one instrument a file; their public names are those of `creuset.metrics`.

They stand in a folder of their own because a file `metrics/bleu.py` would hide the function
`creuset.metrics.bleu`.
"""
