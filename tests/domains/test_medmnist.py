"""MedMNIST downloads against a web server on this machine."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from domains import medmnist
from domains.errors import InputError
from domains.fetching import Unreachable
from domains.medmnist import MEDMNIST, MedmnistSet, fetch_medmnist


class Server(ThreadingHTTPServer):
    """Serves `body`; breaks off after `limit` bytes; ignores ranges unless `ranges`."""

    body: bytes = b""
    limit: int | None = None
    ranges: bool = True
    asked: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        body, begin = self.server.body, 0
        if wanted and self.server.ranges:
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            if begin >= len(body):
                self.send_error(416)
                return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(body) - begin))
        self.end_headers()
        self.wfile.write(body[begin : self.server.limit])

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of one small set, pinned to its MD5, and an empty cache."""
    archive = io.BytesIO()
    images = np.random.default_rng(0).integers(0, 255, (200, 28, 28), dtype=np.uint8)
    np.savez(archive, train_images=images, train_labels=np.zeros((200, 1), np.uint8))
    monkeypatch.setenv("CARELEDGER_CACHE", str(tmp_path))
    with Server(("127.0.0.1", 0), Handler) as server:
        server.body, server.asked = archive.getvalue(), []
        md5 = hashlib.md5(server.body, usedforsecurity=False).hexdigest()
        monkeypatch.setitem(MEDMNIST, "breastmnist", MedmnistSet(md5, 200))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/files"


def test_a_set_is_fetched_once_and_holds_plain_arrays(server: Server) -> None:
    path = fetch_medmnist("breastmnist", address(server))
    assert fetch_medmnist("medmnist/breastmnist", address(server)) == path
    assert len(server.asked) == 1
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays["train_images"].shape == (200, 28, 28)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_is_taken_up_again(server: Server, ranges: bool) -> None:
    server.limit, server.ranges = 50_000, ranges
    with pytest.raises(Unreachable, match="50,000 bytes are kept"):
        fetch_medmnist("breastmnist", address(server))
    server.limit = None
    path = fetch_medmnist("breastmnist", address(server))
    assert path.read_bytes() == server.body
    assert server.asked == [None, "bytes=50000-"]


def test_a_wrong_hash_is_refused_and_the_file_removed(server: Server, tmp_path: Path) -> None:
    expected = MEDMNIST["breastmnist"].md5
    good, server.body = server.body, server.body[:-1] + b"x"
    with pytest.raises(InputError, match=f"expected {expected}"):
        fetch_medmnist("breastmnist", address(server))
    assert not list((tmp_path / "medmnist").glob("breast*"))
    server.body = good
    assert fetch_medmnist("breastmnist", address(server)).read_bytes() == good


def test_a_rest_longer_than_the_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "medmnist").mkdir()
    rest = tmp_path / "medmnist" / "breastmnist.npz.part"
    rest.write_bytes(server.body + b"more")
    with pytest.raises(InputError, match="removed"):
        fetch_medmnist("breastmnist", address(server))
    assert not rest.exists()


def test_a_damaged_file_in_the_cache_is_fetched_again(server: Server) -> None:
    path = fetch_medmnist("breastmnist", address(server))
    path.write_bytes(server.body[:100])
    assert fetch_medmnist("breastmnist", address(server)).read_bytes() == server.body


def test_no_server_is_one_clear_line(server: Server) -> None:
    with pytest.raises(Unreachable) as caught:
        fetch_medmnist("breastmnist", "http://127.0.0.1:9/files")
    assert "breastmnist.npz could not be fetched" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_set_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="'fruitmnist'; there are: pathmnist, "):
        fetch_medmnist("fruitmnist")


def test_twelve_sets_are_pinned_at_an_https_address() -> None:
    assert len(MEDMNIST) == 12
    assert len({known.md5 for known in MEDMNIST.values()}) == 12
    assert all(len(known.md5) == 32 for known in MEDMNIST.values())
    assert medmnist.BASE_URL.startswith("https://")
