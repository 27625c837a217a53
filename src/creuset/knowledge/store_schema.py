"""The tables of a knowledge store, for SQLite and for PostgreSQL, as numbered migrations.

meta              generation, oldest_generation, active_space, version
source            a folder or a file that was added
document          a version of a document; document_access: who may read it
text_piece        its text, in pieces of PIECE characters
page, chunk       spans of it; the text of a chunk is that of its span
space, embedding  vectors by (space, text_sha)
index_log         what each generation did to chunks that are searched
answer, citation  what was answered, and by what it is proved
job, job_file     ingestions
removed, receipt, purged_answer   what is gone
"""

PIECE = 4096
"""Characters: reading a chunk reads two of them at most, mostly."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value BIGINT)",
        "INSERT INTO meta VALUES ('generation', 0), ('oldest_generation', 0), ('active_space', NULL)",
        "CREATE TABLE source (id {id}, root TEXT NOT NULL UNIQUE)",
        """CREATE TABLE document (
            id {id}, source_id BIGINT NOT NULL REFERENCES source, path TEXT NOT NULL, version INTEGER NOT
            NULL, is_current INTEGER NOT NULL, sha256 TEXT NOT NULL, title TEXT NOT NULL, media_type TEXT NOT
            NULL, encoding TEXT NOT NULL, language TEXT NOT NULL, metadata TEXT NOT NULL, cutting TEXT NOT
            NULL, warnings TEXT NOT NULL, num_characters BIGINT NOT NULL, num_pages INTEGER NOT NULL,
            num_chunks INTEGER NOT NULL, added TEXT NOT NULL, UNIQUE (path, version))""",
        "CREATE UNIQUE INDEX one_current ON document (path) WHERE is_current = 1",
        """CREATE TABLE document_access (
            document_id BIGINT NOT NULL REFERENCES document ON DELETE CASCADE, reader TEXT NOT NULL,
            PRIMARY KEY (document_id, reader))""",
        "CREATE INDEX access_by_reader ON document_access (reader, document_id)",
        """CREATE TABLE text_piece (
            document_id BIGINT NOT NULL REFERENCES document ON DELETE CASCADE, number INTEGER NOT NULL,
            piece TEXT NOT NULL, PRIMARY KEY (document_id, number))""",
        """CREATE TABLE page (
            document_id BIGINT NOT NULL REFERENCES document ON DELETE CASCADE, number INTEGER NOT NULL,
            char_start BIGINT NOT NULL, char_end BIGINT NOT NULL, PRIMARY KEY (document_id, number))""",
        """CREATE TABLE chunk (
            id {id}, document_id BIGINT NOT NULL REFERENCES document ON DELETE CASCADE,
            char_start BIGINT NOT NULL, char_end BIGINT NOT NULL, page INTEGER, heading TEXT NOT NULL,
            language TEXT NOT NULL, text_sha TEXT NOT NULL, num_tokens INTEGER NOT NULL)""",
        "CREATE INDEX chunk_by_document ON chunk (document_id)",
        "CREATE INDEX chunk_by_text ON chunk (text_sha)",
        """CREATE TABLE space (
            id {id}, name TEXT NOT NULL, model_sha256 TEXT NOT NULL, dimension INTEGER NOT NULL,
            dtype TEXT NOT NULL, is_normalised INTEGER NOT NULL, max_tokens INTEGER NOT NULL,
            UNIQUE (model_sha256, dtype, max_tokens))""",
        """CREATE TABLE embedding (
            space_id BIGINT NOT NULL REFERENCES space ON DELETE CASCADE, text_sha TEXT NOT NULL,
            vector {vector} NOT NULL, UNIQUE (space_id, text_sha))""",
        """CREATE TABLE index_log (
            generation BIGINT NOT NULL, operation TEXT NOT NULL, chunk_id BIGINT NOT NULL,
            document_id BIGINT NOT NULL)""",
        "CREATE INDEX log_by_generation ON index_log (generation)",
        """CREATE TABLE answer (
            id {id}, time TEXT NOT NULL, question TEXT NOT NULL, asked TEXT NOT NULL,
            conversation TEXT NOT NULL, access TEXT NOT NULL, generation BIGINT NOT NULL, model TEXT NOT NULL,
            model_sha256 TEXT NOT NULL, seed BIGINT NOT NULL, mode TEXT NOT NULL, settings TEXT NOT NULL,
            origin TEXT NOT NULL, sentences TEXT NOT NULL, num_withheld INTEGER NOT NULL,
            is_refused INTEGER NOT NULL, evidence TEXT NOT NULL, left_out TEXT NOT NULL,
            confidence DOUBLE PRECISION NOT NULL)""",
        """CREATE TABLE answer_document (
            answer_id BIGINT NOT NULL REFERENCES answer ON DELETE CASCADE, document_id BIGINT NOT NULL,
            PRIMARY KEY (answer_id, document_id))""",
        """CREATE TABLE citation (
            answer_id BIGINT NOT NULL REFERENCES answer ON DELETE CASCADE, sentence INTEGER NOT NULL,
            number INTEGER NOT NULL, chunk_id BIGINT NOT NULL, document_id BIGINT NOT NULL,
            path TEXT NOT NULL, version INTEGER NOT NULL, page INTEGER, char_start BIGINT NOT NULL,
            char_end BIGINT NOT NULL, quote TEXT NOT NULL, support DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (answer_id, sentence, number))""",
        "CREATE TABLE job (id {id}, started TEXT NOT NULL, finished TEXT NOT NULL, settings TEXT NOT NULL)",
        """CREATE TABLE job_file (
            job_id BIGINT NOT NULL REFERENCES job ON DELETE CASCADE, path TEXT NOT NULL, status TEXT NOT NULL,
            reason TEXT NOT NULL, num_pages INTEGER NOT NULL, num_chunks INTEGER NOT NULL,
            seconds DOUBLE PRECISION NOT NULL, PRIMARY KEY (job_id, path))""",
        """CREATE TABLE removed (
            document_id BIGINT PRIMARY KEY, path TEXT NOT NULL, version INTEGER NOT NULL, sha256 TEXT NOT
            NULL)""",
        """CREATE TABLE receipt (
            id {id}, time TEXT NOT NULL, documents TEXT NOT NULL, answers TEXT NOT NULL, details TEXT NOT
            NULL)""",
        "CREATE TABLE purged_answer (answer_id BIGINT PRIMARY KEY, receipt_id BIGINT NOT NULL)",
    ),
)
"""Each brings a store from its place in this list to the next version."""
