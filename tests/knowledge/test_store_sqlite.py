"""One file: damaged, newer, full, shared, killed, purged."""

import random
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from creuset.errors import CheckpointError, NotFoundError, ResourceError, UsageError
from creuset.knowledge import store as store_module
from creuset.knowledge.records import Filter, Space
from creuset.knowledge.store import SqliteStore
from creuset.knowledge.store_schema import MIGRATIONS
from knowledge_documents import new_document
from small_runs import largest_file

PUBLIC = frozenset({"public"})


def paths(store: SqliteStore) -> list[str]:
    return [document.path for document in store.documents(PUBLIC, Filter())]


def test_it_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    with SqliteStore.create(file) as store:
        store.add(new_document("a.txt", "A text."))
    with SqliteStore.open(file) as store:
        assert paths(store) == ["a.txt"]
        (mode,) = store._database.run("PRAGMA journal_mode")[0]
        (synchronous,) = store._database.run("PRAGMA synchronous")[0]
        (secure,) = store._database.run("PRAGMA secure_delete")[0]
        assert (mode, synchronous, secure) == ("wal", 2, 1)
    with pytest.raises(UsageError, match="already"):
        SqliteStore.create(file)
    with pytest.raises(NotFoundError, match="no store here"):
        SqliteStore.open(tmp_path / "none.sqlite")


def test_a_newer_store_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    SqliteStore.create(file).close()
    with sqlite3.connect(file) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(CheckpointError, match="of a newer creuset") as caught:
        SqliteStore.open(file)
    assert caught.value.got == f"version {len(MIGRATIONS) + 1}"
    assert file.read_bytes() == before


def test_another_programs_file_is_no_store(tmp_path: Path) -> None:
    file = tmp_path / "other.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE mine (a)")
    connection.close()
    with pytest.raises(CheckpointError, match="no knowledge store"):
        SqliteStore.open(file)
    (tmp_path / "text.sqlite").write_text("not a database at all, " * 50)
    with pytest.raises(CheckpointError, match="damaged, or no store"):
        SqliteStore.open(tmp_path / "text.sqlite")


@pytest.mark.parametrize("seed", range(8))
def test_damage_is_named_or_found_by_the_check_or_did_not_touch_anything(tmp_path: Path, seed: int) -> None:
    file = tmp_path / "store.sqlite"
    generator = random.Random(seed)
    with SqliteStore.create(file) as store:
        for number in range(40):
            store.add(new_document(f"{number}.txt", f"Text {number} of the hut. " * 60))
        store._database.run("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(file.read_bytes())
    place = generator.randrange(4096, len(data) - 4096)
    data[place : place + 3000] = generator.randbytes(3000)
    file.write_bytes(data)
    try:
        with SqliteStore.open(file) as store:
            wrong = store.check()
            texts = {
                each.path: store.text(each.id, 0, each.num_characters, PUBLIC)
                for each in store.documents(PUBLIC, Filter())
            }
    except CheckpointError as error:
        wrong, texts = [str(error)], {}
    # bytes that no row uses may be anything
    assert wrong or texts == {f"{n}.txt": f"Text {n} of the hut. " * 60 for n in range(40)}


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    with SqliteStore.create(tmp_path / "store.sqlite") as store:
        store.add(new_document("a.txt", "A text."))
        large = [new_document(f"b{number}.txt", "Another text. " * 300) for number in range(300)]
        with largest_file(300_000), pytest.raises(ResourceError, match="full or failing"):
            list(map(store.add, large))
        held = paths(store)
        assert held[0] == "a.txt"
        assert store.check() == []
        store.add(new_document("c.txt", "It goes on."))
    with SqliteStore.open(tmp_path / "store.sqlite") as store:
        assert paths(store) == [*held, "c.txt"]


def test_a_second_writer_waits_and_then_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_BUSY_SECONDS", 0.1)
    file = tmp_path / "store.sqlite"
    with SqliteStore.create(file) as one, SqliteStore.open(file) as other:
        with one._database.writing():
            with pytest.raises(UsageError, match="another process has been writing"):
                other.add(new_document("a.txt", "A text."))
            assert paths(other) == []
        other.add(new_document("a.txt", "A text."))
        assert paths(one) == ["a.txt"]


def test_threads_share_a_store(tmp_path: Path) -> None:
    with SqliteStore.create(tmp_path / "store.sqlite") as store:

        def add(start: int) -> None:
            for number in range(start, start + 10):
                store.add(new_document(f"{number:03}.txt", f"Text {number}."))

        threads = [threading.Thread(target=add, args=(start,)) for start in range(0, 40, 10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(paths(store)) == store.generation == 40
        assert store.check() == []


WRITER = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from creuset.knowledge.store import SqliteStore
from knowledge_documents import new_document
with SqliteStore.open(Path(sys.argv[1])) as store:
    for number in range(100_000):
        if number % 5 == 4:
            store.remove(f"{number - 2}.txt")
            print("removed", number - 2, flush=True)
        else:
            store.add(new_document(f"{number}.txt", f"Text {number}. " * 50))
            print("added", number, flush=True)
"""


@pytest.mark.parametrize("lines", [3, 17, 40])
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, lines: int) -> None:
    file = tmp_path / "store.sqlite"
    SqliteStore.create(file).close()
    support = str(Path(__file__).parents[1] / "support")
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(file), support], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().split() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        said += [words for line in process.stdout if len(words := line.split()) == 2]
    expected: set[str] = set()
    for what, number in said:
        (expected.add if what == "added" else expected.discard)(f"{number}.txt")
    with SqliteStore.open(file) as store:
        held = set(paths(store))
        assert len(held ^ expected) <= 1  # the transaction that was under way
        assert store.check() == []


def test_a_purge_leaves_no_byte(tmp_path: Path) -> None:
    secret = "the valve behind the second boiler is opened by a quarter turn"
    space = Space(
        name="t", model_sha256="0" * 64, dimension=4, dtype="float32", is_normalised=True, max_tokens=64
    )
    with SqliteStore.create(tmp_path / "store.sqlite") as store:
        number = store.space_id(space)
        for n in range(30):
            store.add(new_document(f"{n}.txt", f"Number {n}: {secret}. " * 40))
        store.add(new_document("kept.txt", "What is kept."))
        missing = store.missing_texts(number, 10_000)
        marks = np.arange(4 * len(missing), dtype=np.float32).reshape(-1, 4) + 0.123
        store.put_vectors(number, list(missing), marks)
        for n in range(15):
            store.remove(f"{n}.txt")
        for n in range(15, 30):
            store.add(new_document(f"{n}.txt", f"Number {n} is new."))
        store.purge("{}")
        for file in tmp_path.iterdir():
            data = file.read_bytes()
            assert secret.encode() not in data
            assert not any(mark.tobytes() in data for mark in marks[1:-1])
        assert store.check() == []
