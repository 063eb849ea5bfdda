"""The story of a registered model: its versions with their evidence, its champion's moves."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from domains.errors import Refused
from pipelines import registry
from pipelines.moves import moves

Story = dict[str, Any]


def story(name: str) -> Story:
    """Everything the registry knows of a model, as JSON values.

    Raises:
        InputError: No such model.
    """
    history = [asdict(move) for move in moves(name)]
    versions = [
        _version(name, version, aliases)
        for model, version, aliases in registry.list_versions()
        if model == name
    ]
    return {
        "name": name,
        "best": registry.best_version(name),
        "versions": versions,
        "moves": history,
    }


def _version(name: str, version: str, aliases: list[str]) -> Story:
    found = registry.get_version(name, version)
    told: Story = {
        "version": version,
        "aliases": aliases,
        "run_id": found.run_id,
        "registered": found.creation_timestamp,
        "tags": {k.removeprefix("careledger."): v for k, v in found.tags.items()},
    }
    try:
        evidence = registry.stored_evidence(found)
    except Refused as error:
        return {**told, "evidence": None, "missing": str(error)}
    kept = ("headline", "data", "split", "metrics", "calibration", "privacy", "findings", "limits")
    controls = {a["name"]: a["metrics"] for a in evidence["arms"] if a["role"] == "control"}
    return {**told, "evidence": {k: evidence[k] for k in kept} | {"controls": controls}}


def tell(told: Story) -> str:
    """The story as text."""
    lines = [told["name"]]
    for version in told["versions"]:
        lines.append(f"version {version['version']} {' '.join(version['aliases'])}".rstrip())
        evidence = version["evidence"]
        if evidence is None:
            lines.append(f"  {version['missing']}")
            continue
        lines += [f"  {evidence['headline']}", f"  data {evidence['data']['digest']}"]
        lines += [f"  {finding}" for finding in evidence["findings"]]
        if gate := version["tags"].get("gate"):
            lines.append(f"  gate: {gate}")
    lines.append("moves of champion")
    for move in told["moves"]:
        lines.append(
            f"  {move['when']} {move['who']} {move['action']} "
            f"{move['before'] or 'none'} -> {move['after']}: {'; '.join(move['reasons'])}"
        )
    return "\n".join(lines)
