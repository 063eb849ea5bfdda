"""The story of a model as text for a terminal."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator
from typing import Any

from pipelines.reporting.wording import title

Story = dict[str, Any]
_LABEL = 12
_WIDEST = 3  # features of a scorecard that are named
_UNJUDGED = "not judged: its run was cut short, or it is a base, which answers nobody"
_FIRST = ("mean", "auroc", "cindex", "r2", "accuracy")


def tell(told: Story) -> str:
    """The story: a version alone in full, a model with a few lines a version; then the moves."""
    one = told["version"] is not None
    lines = [told["name"], *_aliases(told)]
    for version in sorted(told["versions"], key=lambda v: int(v["version"]), reverse=True):
        lines += ["", *(_whole(version) if one else _brief(version))]
    lines += ["", "moves, newest first", *_moves(told["moves"])]
    if not one and told["versions"]:
        lines += ["", f"`careledger models show {told['name']}/VERSION` tells a version in full."]
    return "\n".join(lines)


def _aliases(told: Story) -> Iterator[str]:
    for alias, found in told["aliases"].items():
        yield from _said(alias, _points(found))
    if told["best"]:
        yield from _said("yardstick", f"version {told['best']}, the best champion so far")
    if not told["versions"]:
        yield from _said("versions", "none is left")


def _points(found: Story) -> str:
    recorded = found.get("recorded")
    if found["version"] is None:
        gone = "" if found["recorded_exists"] else ", which was deleted"
        return f"points nowhere; by the record it belongs to version {recorded}{gone}"
    said = f"version {found['version']}"
    if not found["exists"]:
        said += ", which was deleted: `careledger models rollback` goes to the champion before it"
    if recorded not in (None, found["version"]):
        said += (
            f"; by the record it belongs to version {recorded}: "
            "it was moved by hand, or a move was cut short"
        )
    return said


def _brief(version: Story) -> Iterator[str]:
    yield _heading(version)
    evidence = version["evidence"]
    if evidence is None:
        yield from _said("missing", version["missing"])
        return
    yield from _said("", evidence["headline"])
    for name in _main(evidence["metrics"]):
        yield from _said("test", _metric(name, evidence["metrics"]))
    yield from _said("gate", _shortly(version["gate"]))


def _whole(version: Story) -> Iterator[str]:
    yield _heading(version)
    evidence = version["evidence"]
    if evidence is None:
        yield from _said("missing", version["missing"])
    else:
        yield from _evidence(evidence)
    yield from _all("gate", version["gate"] or [_UNJUDGED])
    yield from _lineage(version["lineage"])
    if ((evidence or {}).get("privacy") or {}).get("shape"):
        command = f"`careledger audit {version['run_id']}`"
        yield from _said("audit", f"{command} tests what the run promised, on made-up records")
    yield from _scored(version["scored"])
    for name in ("card", "report"):
        yield from _said(name, version[name] or "not in this home; with the run in MLflow")


def _heading(version: Story) -> str:
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(version["registered"] / 1000))
    waits = ", awaiting approval" if version["awaiting"] else ""
    held = f" ({', '.join(version['aliases'])})" if version["aliases"] else ""
    return f"version {version['version']}{held}{waits}, registered {when}"


def _evidence(evidence: Story) -> Iterator[str]:
    yield from _said("", evidence["headline"])
    metrics = evidence["metrics"]
    shown = [_metric(n, metrics) for n in metrics if not n.endswith(("_low", "_high"))]
    yield from _all("test", shown or ["not released: the owner has not allowed it"])
    yield from _all("control", [_control(n, m) for n, m in evidence["controls"].items()])
    if rows := evidence["scorecard"]:
        yield from _all("scorecard", _scorecard(rows))
    if privacy := evidence["privacy"]:
        yield from _all("privacy", _privacy(privacy))
    yield from _all("found", evidence["findings"] or [])
    yield from _all("limits", evidence["limits"] or [])


def _scorecard(rows: list[list[Any]]) -> Iterator[str]:
    """Where the sum starts, and the features whose points lie farthest apart."""
    (_, reference, start), *lines = rows
    by_feature: dict[str, list[float]] = {}
    for feature, _, points in lines:
        by_feature.setdefault(feature, []).append(points)
    apart = sorted(by_feature, key=lambda f: min(by_feature[f]) - max(by_feature[f]))
    said = [f"{f} {min(by_feature[f]):+.1f} to {max(by_feature[f]):+.1f}" for f in apart[:_WIDEST]]
    yield f"starts at {start:.1f} points ({reference}); {len(apart)} features, {len(lines)} lines"
    yield f"widest: {', '.join(said)}; the card has every line"


def _privacy(privacy: Story) -> Iterator[str]:
    """ε and what it bought; each key beside ε, δ and the unit may be absent."""
    yield f"ε {privacy['epsilon']:.3g} at δ {privacy['delta']:g} a {privacy['unit']}"
    if noise := privacy.get("noise_multiplier"):
        local = privacy["local_steps"]
        steps = f"{privacy['rounds']} rounds of {local} local step{'s' if local != 1 else ''}"
        sampled = f"each on {privacy['sampling_rate']:.0%} of the records"
        yield f"{steps}, {sampled}, noise {noise:.3g} times the clip norm"
    if "setup_columns" in privacy:
        columns = privacy["setup_columns"]
        paid = (
            f"{columns} columns are noised and charged"
            if columns
            else "are public and cost nothing"
        )
        yield f"bins and category lists: {paid}"


def _control(name: str, metrics: dict[str, float]) -> str:
    return f"{name}: " + ("; ".join(_metric(n, metrics) for n in _main(metrics)) or "not released")


def _lineage(told: Story) -> Iterator[str]:
    data = [f"{role}: {digest or 'not recorded'}" for role, digest in told["data"].items()]
    yield from _all("data", data)
    if told["trained_from"]:
        yield from _said("trained", told["trained_from"])
    if told.get("recalibrated_from"):
        yield from _said("weights", f"of {told['recalibrated_from']}, recalibrated")
    yield from _all("base", [f"{base['name']} {base['digest']}" for base in told["bases"]])
    yield from _said("code", told["git_revision"] or "not recorded")
    run = told["run"]
    asked = f", asked for {run['asked']}" if run.get("asked") else ""
    yield from _said("run", told.get("missing") or f"{run['id']}{asked}")
    if ledger := told["ledger"]:
        entry = f"entry {ledger.get('length')}, head {ledger.get('head')}"
        check = "`careledger budget verify` holds the ledger against it"
        yield from _said("ledger", f"{entry}; {check}")


def _scored(told: Story) -> Iterator[str]:
    batch, served = told["batch"], told["served"]
    if batch["scorings"] or batch["failed"]:
        yield from _said(
            "scored",
            f"{batch['rows']:,} rows in {batch['scorings']} files, {batch['rejected']:,} rejected, "
            f"{batch['failed']} failed, by {', '.join(batch['who'])}, last {batch['last']}",
        )
    if served["requests"]:
        yield from _said(
            "served",
            f"{served['rows']:,} rows in {served['requests']:,} requests, "
            f"keys {', '.join(served['keys'])}, last {served['last']}",
        )
    if not (batch["last"] or served["requests"]):
        yield from _said("scored", "nothing from this home yet")


def _moves(moves: list[Story]) -> Iterator[str]:
    for move in reversed(moves):
        to = f"{move['before'] or 'none'} -> {move['after']}"
        if move["action"] not in ("promote", "rollback"):
            to = f"version {move['after']}, champion {move['before'] or 'none'}"
        yield f"  {move['when']}  {move['action']:8}  {to}, by {move['who']}"
        if move["note"]:
            yield from _said("", f"“{move['note']}”")
        yield from _said("", _shortly(move["reasons"]))
    if not moves:
        yield "  none yet"


def _shortly(reasons: list[str] | None) -> str:
    """Reasons in a line: a rule that was met by its name alone, anything else as it stands."""
    if not reasons:
        return _UNJUDGED
    met = [reason.partition(":")[0] for reason in reasons if ": met (" in reason]
    rest = [reason for reason in reasons if ": met (" not in reason]
    return "; ".join([*rest, *([f"met: {', '.join(met)}"] if met else [])])


def _main(metrics: dict[str, float]) -> list[str]:
    """The one or two metrics that tell most."""
    return [name for name in _FIRST if name in metrics][:1]


def _metric(name: str, metrics: dict[str, float]) -> str:
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    interval = f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else ""
    return f"{title(name)} {metrics[name]:.3f}{interval}"


def _all(label: str, texts: Iterable[str]) -> Iterator[str]:
    """Texts under one label, which stands before the first."""
    for text in texts:
        yield from _said(label, text)
        label = ""


def _said(label: str, text: str) -> list[str]:
    """A labelled text, wrapped at a terminal, on one line in a file."""
    width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 10**6
    indent = " " * (_LABEL + 2)
    return textwrap.wrap(
        " ".join(text.split()),
        width=max(width, 60),
        initial_indent=f"  {label:{_LABEL}}",
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
