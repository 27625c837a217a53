"""From noise to samples: how a trained diffusion or flow is followed, step by step.

Pure functions over a callable, which is the trained network or, in tests, a formula. Each method declares its
order of convergence, and tests measure it.
"""
