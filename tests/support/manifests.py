"""A manifest for tests of what is kept in a run folder."""

from creuset.runs.manifest import Manifest, now


def manifest(**changes: object) -> Manifest:
    """The manifest of a run that was just begun, with some fields otherwise."""
    fields: dict[str, object] = {
        "id": "a",
        "created": now(),
        "command": "creuset train a.yaml",
        "family": "vae",
        "seed": 0,
        "device": "cpu",
        "precision": "float32",
        "precision_reason": "float32, as the recipe asks",
        "machine": {"torch": "2"},
        "data_source": "digits",
        "data_hash": "0" * 64,
        "data_spec": {},
        "data_report": {},
    }
    return Manifest.model_validate({**fields, **changes})
