"""Small changes to large models: low-rank updates that are trained, switched, merged and exchanged."""
