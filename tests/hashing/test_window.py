"""A file seen through one buffer."""

from __future__ import annotations

import io
import threading
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from server.hashing.window import CAPACITY, Window

from .build.sample import noise

(CONTENT,) = noise(1, 3 * CAPACITY + 1234)

places = st.lists(st.tuples(st.integers(-5, len(CONTENT) + 5), st.integers(0, 2 * CAPACITY), st.sampled_from("rvp")))


@given(places=places)
def test_every_access_gives_the_bytes_of_the_file(places: list[tuple[int, int, str]]) -> None:
    with Window(io.BytesIO(CONTENT)) as window:
        for offset, length, way in places:
            expected = CONTENT[offset : offset + length] if offset >= 0 else b""
            if way == "r":
                assert window.read(offset, length) == expected
            elif way == "v":
                assert bytes(window.view(offset, length)) == expected[:CAPACITY]
            else:
                piece = bytes(window.piece(offset, length))
                assert expected.startswith(piece)
                assert piece or not expected


def test_reading_leaves_what_is_viewed_in_place() -> None:
    with Window(io.BytesIO(CONTENT)) as window:
        view = window.view(1000, 500)
        assert window.read(2 * CAPACITY, 100) == CONTENT[2 * CAPACITY : 2 * CAPACITY + 100]
        assert window.find(CONTENT[-50:], 0) == len(CONTENT) - 50
        assert bytes(view) == CONTENT[1000:1500]


def test_find_sees_what_lies_across_its_steps() -> None:
    data = bytearray(bytes(300_000))
    for at in (65_534, 131_070, 299_996):
        data[at : at + 4] = b"OggS"
    window = Window(io.BytesIO(bytes(data)))
    assert window.find(b"OggS", 0) == 65_534
    assert window.find(b"OggS", 65_535) == 131_070
    assert window.find(b"OggS", 131_071) == 299_996
    assert window.find(b"OggS", 299_997) == -1


def test_file_that_shrinks_ends_early(tmp_path: Path) -> None:
    path = tmp_path / "shrinking"
    path.write_bytes(CONTENT)
    with path.open("rb", buffering=0) as file, Window(file) as window:
        with path.open("r+b") as other:
            other.truncate(100)
        assert bytes(window.view(0, 1000)) == CONTENT[:100]
        assert bytes(window.view(200, 1000)) == b""
        assert window.read(200, 10) == b""
        assert window.find(b"\0\1\2\3\4\5", 0) == -1


def test_windows_on_many_threads_don_t_share_a_buffer() -> None:
    contents = [bytes([number]) * 50_000 for number in range(8)]
    barrier = threading.Barrier(len(contents))
    wrong: list[int] = []

    def look(number: int) -> None:
        barrier.wait()
        for _ in range(200):
            with Window(io.BytesIO(contents[number])) as window:
                if bytes(window.view(0, 50_000)) != contents[number]:
                    wrong.append(number)

    threads = [threading.Thread(target=look, args=[number]) for number in range(len(contents))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
