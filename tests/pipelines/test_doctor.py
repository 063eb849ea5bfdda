"""The doctor names services that left their record behind, and settings that lead nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.doctor import Checked, examine


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of other tests is not this home's."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


def checked() -> dict[str, Checked]:
    return {check.name: check for check in examine()}


def test_a_fresh_home_has_no_service_and_is_well(home: Path) -> None:
    found = checked()
    assert [name for name, check in found.items() if not check.ok] == []
    assert found["services"].detail == "none up"
    assert found["prefect"].detail == "no server is set or up"
    assert found["webhooks"].detail == "none set; 0 messages waiting, 0 dropped"


def test_a_record_without_its_process_is_named(home: Path) -> None:
    (home / "services").mkdir()
    (home / "services" / "prefect.json").write_text(json.dumps({"pid": 2**22 + 1, "url": None}))
    check = checked()["services"]
    assert not check.ok
    assert "prefect (its process is gone)" in check.detail


def test_a_prefect_server_that_does_not_answer_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    check = checked()["prefect"]
    assert not check.ok
    assert "no Prefect server answers at http://127.0.0.1:9/api" in check.detail


def test_a_webhook_is_shown_without_its_path_and_what_waits_is_counted(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARELEDGER_WEBHOOK_URL", "https://chat.example/hooks/password")
    assert checked()["webhooks"].ok
    assert "password" not in checked()["webhooks"].detail
    (home / "notifications").mkdir()
    (home / "notifications" / "1.a.b.json").write_text("{}")
    assert not checked()["webhooks"].ok
    monkeypatch.setenv("CARELEDGER_WEBHOOK_URL", "chat.example")
    check = checked()["webhooks"]
    assert not check.ok
    assert "is not a web address" in check.detail
