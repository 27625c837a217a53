"""Which model wrote an answer: the hash of what it was opened from."""

import hashlib

from creuset.assets import resolve
from creuset.errors import NotFoundError
from creuset.files import sha256_of
from creuset.workflows.load import find_run


def sha256_of_model(name: str) -> str:
    """Of a GGUF file, of a folder's weights, or of a run's manifest, whose checkpoints are named by their
    hashes.

    Raises:
        NotFoundError: There is no such model.
    """
    try:
        return sha256_of(find_run(name).path / "manifest.json")
    except NotFoundError:
        found = resolve(name)
    if found.file is not None:
        return sha256_of(found.file)
    told = hashlib.sha256()
    for file in sorted(found.path.glob("*.safetensors")):
        told.update(f"{sha256_of(file)}  {file.name}\n".encode())
    return told.hexdigest()
