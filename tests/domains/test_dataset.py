"""A digest names the content; a keyed one tells nothing to whoever lacks the key."""

from pathlib import Path

from domains.dataset import Dataset, digest_file, digest_files


def test_digest_follows_the_content_alone(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"same")
    other.write_bytes(b"same")
    assert digest_file(one) == digest_file(other)
    other.write_bytes(b"changed")
    assert digest_file(one) != digest_file(other)


def test_order_of_files_and_their_borders_count(tmp_path: Path) -> None:
    parts = [tmp_path / name for name in "abc"]
    for path, content in zip(parts, (b"x", b"yz", b"xy"), strict=True):
        path.write_bytes(content)
    a, b, _ = parts
    assert digest_files([a, b]) != digest_files([b, a])
    (tmp_path / "d").write_bytes(b"z")
    assert digest_files([a, b]) != digest_files([parts[2], tmp_path / "d"])


def test_digest_of_private_data_depends_on_the_key(tmp_path: Path) -> None:
    path = tmp_path / "records"
    path.write_bytes(b"private")
    assert digest_file(path, b"k1").startswith("hmac-sha256:")
    assert digest_file(path, b"k1") != digest_file(path, b"k2")


def test_json_holds_no_folder() -> None:
    made = Dataset("mine", Path("/home/someone/loans.csv"), "sha256:0", 1, (), False, "row", "", "")
    assert made.to_json()["file"] == "loans.csv"
    assert "someone" not in str(made.to_json())
