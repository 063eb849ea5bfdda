"""A checkpoint is there whole or not at all, and only for the training that it belongs to."""

from pathlib import Path

import pytest
import torch

from domains import durable
from models.checkpoint import Checkpoint

TENSORS = {
    "weight": torch.arange(6.0).reshape(2, 3),
    "step": torch.tensor(3.0),
    "rng": torch.get_rng_state(),
    "none": torch.zeros(0, 4),
    "half": torch.ones(2, dtype=torch.bfloat16),
}
FACTS = {"epoch": 2, "best": float("-inf"), "score": 0.1 + 0.2, "history": [{"loss": 1 / 3}]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints" / "arm.safetensors"


def test_what_was_saved_last_is_loaded_exactly(file: Path) -> None:
    Checkpoint(file).save({}, {})
    Checkpoint(file).save(TENSORS, FACTS)
    found = Checkpoint(file).load()
    assert found is not None
    assert found[1] == FACTS
    assert found[0].keys() == TENSORS.keys()
    assert all(torch.equal(found[0][name], tensor) for name, tensor in TENSORS.items())
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_tensors_of_any_layout_in_memory_can_be_saved(file: Path) -> None:
    images = torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    Checkpoint(file).save({"images": images, "turned": images[0, 0].T}, {})
    found = Checkpoint(file).load()
    assert found is not None
    assert torch.equal(found[0]["images"], images)


def test_nothing_saved_is_nothing_to_load(file: Path) -> None:
    assert Checkpoint(file).load() is None
    assert not Checkpoint(file).set_aside


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "bit", "facts"])
def test_a_damaged_file_is_set_aside_and_said(file: Path, damage: str) -> None:
    Checkpoint(file).save(TENSORS, FACTS)
    content = file.read_bytes()
    at = content.index(b"score") if damage == "facts" else len(content) - 3
    flipped = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    cut, text = content[:-9], b"not tensors"
    file.write_bytes({"cut": cut, "empty": b"", "text": text}.get(damage, flipped))
    said: list[str] = []
    assert Checkpoint(file, said.append).load() is None
    assert said == ["checkpoint arm.safetensors is damaged: set aside, training starts anew"]
    assert Checkpoint(file).set_aside
    assert not file.exists()


def test_the_checkpoint_of_another_training_counts_as_none(file: Path) -> None:
    Checkpoint(file).of("seed 0", 3).save(TENSORS, FACTS)
    assert Checkpoint(file).of("seed 0", 3).load() is not None
    said: list[str] = []
    assert Checkpoint(file, said.append).of("seed 1", 3).load() is None
    assert "belongs to another training" in said[0]


def test_what_it_belongs_to_adds_up(file: Path) -> None:
    Checkpoint(file).of("seed 0").of((2, 3)).save(TENSORS, FACTS)
    assert Checkpoint(file).of("seed 0").of((2, 3)).load() is not None
    assert Checkpoint(file).of((2, 3)).load() is None


def test_parts_of_a_training_have_files_of_their_own(file: Path) -> None:
    whole = Checkpoint(file).of("recipe")
    whole.part(0).save(TENSORS, {"part": 0})
    whole.part(1).save(TENSORS, {"part": 1})
    found = [whole.part(number).load() for number in (0, 1)]
    assert [each[1] for each in found if each] == [{"part": 0}, {"part": 1}]


def test_a_failed_write_leaves_the_last_state(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Checkpoint(file).save(TENSORS, FACTS)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("domains.durable.flush", full)
    with pytest.raises(OSError, match="No space left"):
        Checkpoint(file).save({}, {})
    found = Checkpoint(file).load()
    assert found is not None
    assert found[1] == FACTS


def test_the_first_save_makes_its_new_folder_last_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[Path] = []
    whole = durable.flush

    def spy(path: Path) -> None:
        flushed.append(path)
        whole(path)

    monkeypatch.setattr(durable, "flush", spy)
    Checkpoint(tmp_path / "new" / "arm.safetensors").save({"weight": torch.ones(2)}, {})
    assert flushed[0] == tmp_path
    assert flushed[-1] == tmp_path / "new"


def test_a_save_is_due_after_the_pause_and_at_once_without_one(file: Path) -> None:
    assert not Checkpoint(file, pause=1e6).due()
    hasty = Checkpoint(file, pause=0)
    hasty.save(TENSORS, FACTS)
    assert hasty.due()


def test_a_slow_write_makes_the_pauses_longer(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0, 14.0, 14.0 + 199.0, 14.0 + 201.0])
    monkeypatch.setattr("models.checkpoint.time.perf_counter", lambda: next(clock))
    checkpoint = Checkpoint(file, pause=2.0)
    checkpoint.save({}, {})
    assert [checkpoint.due(), checkpoint.due()] == [False, True]
