"""The vectors of a store: one for each text in each space."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.errors import CheckpointError, NotFoundError, UsageError
from creuset.knowledge.records import Space, searched_text
from creuset.knowledge.store_documents import DocumentTables

_SPACE = "id, name, model_sha256, dimension, dtype, is_normalised, max_tokens"
_MISSING = (
    "FROM chunk c JOIN document d ON d.id = c.document_id WHERE d.is_current = 1 AND NOT EXISTS "
    "(SELECT 1 FROM embedding e WHERE e.space_id = ? AND e.text_sha = c.text_sha)"
)


class VectorTables(DocumentTables):
    """The part of a store that holds vectors."""

    def spaces(self) -> dict[int, Space]:
        return {
            row[0]: Space(
                name=row[1],
                model_sha256=row[2],
                dimension=row[3],
                dtype=row[4],
                is_normalised=bool(row[5]),
                max_tokens=row[6],
            )
            for row in self._database.run(f"SELECT {_SPACE} FROM space ORDER BY id")
        }

    def space_id(self, space: Space) -> int:
        key = (space.model_sha256, space.dtype, space.max_tokens)
        for number, known in self.spaces().items():
            if (known.model_sha256, known.dtype, known.max_tokens) == key:
                return number
        with self._database.writing():
            ((number,),) = self._database.run(
                "INSERT INTO space (name, model_sha256, dimension, dtype, is_normalised, max_tokens) "
                "VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
                space.name,
                space.model_sha256,
                space.dimension,
                space.dtype,
                int(space.is_normalised),
                space.max_tokens,
            )
        return int(number)

    @property
    def active_space(self) -> int | None:
        ((value,),) = self._database.run("SELECT value FROM meta WHERE name = 'active_space'")
        return None if value is None else int(value)

    def activate(self, space_id: int) -> None:
        with self._database.writing():
            self._require_space(space_id)
            ((missing,),) = self._database.run(f"SELECT count(DISTINCT c.text_sha) {_MISSING}", space_id)
            if missing:
                raise UsageError(
                    "texts have no vector in this space yet: it cannot be searched",
                    where=f"space {space_id}",
                    got=f"{missing:,} without one",
                    next_step="embed them first",
                )
            self._database.run("UPDATE meta SET value = ? WHERE name = 'active_space'", space_id)
            self._raise_generation()

    def remove_space(self, space_id: int) -> None:
        with self._database.writing():
            self._require_space(space_id)
            if space_id == self.active_space:
                raise UsageError(
                    "this space is searched",
                    where=f"space {space_id}",
                    next_step="activate another one first",
                )
            self._database.run("DELETE FROM embedding WHERE space_id = ?", space_id)
            self._database.run("DELETE FROM space WHERE id = ?", space_id)

    def missing_texts(self, space_id: int, limit: int) -> dict[str, str]:
        rows = self._database.run(
            "SELECT c.text_sha, min(c.id) " + _MISSING + " GROUP BY c.text_sha ORDER BY min(c.id) LIMIT ?",
            space_id,
            limit,
        )
        held = {chunk.id: chunk for chunk in self.chunks_by_id([first for _, first in rows])}
        return {
            sha: searched_text(held[first].heading, held[first].text) for sha, first in rows if first in held
        }

    def known_shas(self, space_id: int, shas: Sequence[str]) -> set[str]:
        rows = self._database.run(
            f"SELECT text_sha FROM embedding WHERE space_id = ? AND {self._database.among('text_sha')}",
            space_id,
            self._database.values(list(shas)),
        )
        return {sha for (sha,) in rows}

    def put_vectors(self, space_id: int, shas: Sequence[str], vectors: NDArray[np.float32]) -> None:
        with self._database.writing():
            dimension = self._require_space(space_id).dimension
            if vectors.shape != (len(shas), dimension) or not np.isfinite(vectors).all():
                raise UsageError(
                    "no vectors of this space",
                    where=f"space {space_id}",
                    got=f"{vectors.shape}, {'finite' if np.isfinite(vectors).all() else 'not all finite'}",
                    expected=f"finite numbers ({len(shas)}, {dimension})",
                )
            self._database.run_many(
                "INSERT INTO embedding VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [
                    (space_id, sha, self._database.as_vector(vector))
                    for sha, vector in zip(shas, vectors.astype(np.float32), strict=True)
                ],
            )

    def vectors(self, space_id: int, chunk_ids: Sequence[int]) -> NDArray[np.float32]:
        dimension = self._require_space(space_id).dimension
        run, among, values = self._database.run, self._database.among, self._database.values
        shas: dict[int, str] = dict(
            run(f"SELECT id, text_sha FROM chunk WHERE {among('id')}", values(list(chunk_ids)))
        )
        # texts by the index of both columns: a join is planned from all vectors of the space
        held: dict[str, Any] = dict(
            run(
                f"SELECT text_sha, vector FROM embedding WHERE space_id = ? AND {among('text_sha')}",
                space_id,
                values(list(set(shas.values()))),
            )
        )
        found = np.empty((len(chunk_ids), dimension), np.float32)
        for place, number in enumerate(chunk_ids):
            sha = shas.get(number, "")
            if sha not in held:
                raise CheckpointError(
                    "a chunk has no vector",
                    where=self._database.name,
                    got=f"chunk {number}, space {space_id}",
                    next_step="creuset index verify",
                )
            found[place] = self._database.from_vector(held[sha])
        return found

    def _require_space(self, space_id: int) -> Space:
        known = self.spaces()
        if space_id not in known:
            raise NotFoundError(
                "no such space", where=space_id, expected=", ".join(map(str, known)) or "none"
            )
        return known[space_id]
