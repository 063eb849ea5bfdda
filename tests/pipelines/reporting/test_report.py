"""Reports stand alone and tell the run without leaks; tests/pages opens them in a browser."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from domains.metrics import Interval
from pipelines.evidence import Arm, Evidence, Table
from pipelines.reporting import report, wording
from tests.pipelines import sample_evidence as sample


class Page(HTMLParser):
    """Addresses, images and visible text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.images: list[dict[str, str]] = []
        self.ids: set[str] = set()
        self.text = ""
        self._style = False
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {key: value or "" for key, value in attrs}
        self.addresses += [known[key] for key in ("src", "srcset", "href") if key in known]
        self.ids |= {known["id"]} if "id" in known else set()
        self._style = tag == "style"
        assert tag != "script"
        if tag in ("img", "source"):
            self.images.append({"tag": tag, **known})

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Three reports and an index, as the demo leaves them."""
    home = tmp_path_factory.mktemp("reports")
    runs = []
    for make in (sample.imaging, sample.patients, sample.credit):
        path = home / make.__name__ / "report.html"
        evidence = make(path.parent / "figures")
        result = sample.result(evidence, path)
        report.render(evidence, result, path)
        runs.append((evidence, result))
    index = report.index(runs, home / "index.html")
    return {"home": home, "runs": runs, "index": index}


def paths(site: dict[str, Any]) -> list[Path]:
    return [site["index"], *(Path(result["report"]) for _, result in site["runs"])]


def test_a_page_needs_no_network_and_no_other_file(site: dict[str, Any]) -> None:
    for path in paths(site):
        page = Page(path)
        outside = [a for a in page.addresses if not a.startswith(("data:", "#"))]
        assert all(a.endswith("report.html") for a in outside)
        assert outside == [] or path == site["index"]
        assert not re.search(r"url\(|@import|https?://", page.source)


def test_links_lead_somewhere(site: dict[str, Any]) -> None:
    for path in paths(site):
        page = Page(path)
        for address in page.addresses:
            if address.startswith("#"):
                assert address[1:] in page.ids
            elif not address.startswith("data:"):
                assert (path.parent / address).is_file()


def test_every_figure_is_embedded_at_two_widths_and_not_empty(site: dict[str, Any]) -> None:
    for evidence, result in site["runs"]:
        images = Page(Path(result["report"])).images
        # one more than the evidence brings: the arms against their controls
        assert sum(i["tag"] == "img" for i in images) == len(evidence.figures) + 1
        assert len(images) == 2 * (len(evidence.figures) + 1)
        for image in images:
            data = base64.b64decode((image.get("src") or image["srcset"]).partition(",")[2])
            assert np.asarray(Image.open(io.BytesIO(data)).convert("L")).std() > 5


def test_every_image_says_in_words_what_it_shows(site: dict[str, Any]) -> None:
    for evidence, result in site["runs"]:
        alts = [i["alt"] for i in Page(Path(result["report"])).images if i["tag"] == "img"]
        for figure in evidence.figures:
            ended = figure.title if figure.title.endswith("?") else f"{figure.title}."
            assert f"{ended} {figure.caption}" in alts


def test_a_report_holds_what_a_reader_must_find(site: dict[str, Any]) -> None:
    for evidence, result in site["runs"]:
        text = Page(Path(result["report"])).text
        expected = [evidence.headline, *evidence.findings, *evidence.limits, result["run_id"],
                    result["git_revision"], evidence.data["digest"], result["config_yaml"].strip(),
                    *result["gate"]["reasons"], *(arm.name for arm in evidence.arms),
                    *evidence.split]  # fmt: skip
        for name in wording.names(evidence.metrics):
            expected += [wording.title(name), wording.number(evidence.metrics[name]),
                         wording.interval(evidence.metrics, name)]  # fmt: skip
        assert [line for line in expected if line not in text] == []


def test_the_verdict_is_told_either_way(site: dict[str, Any]) -> None:
    for _, result in site["runs"]:
        text = Page(Path(result["report"])).text
        assert ("Not promoted" in text) != result["gate"]["promoted"]


def test_a_version_held_back_is_not_recommended_without_saying_so(tmp_path: Path) -> None:
    evidence = sample.imaging(tmp_path / "figures")
    for promoted in (True, False):
        result = sample.result(evidence, tmp_path / "report.html")
        result["gate"] = {**result["gate"], "promoted": promoted}
        page = Page(report.render(evidence, result, tmp_path / "report.html"))
        assert ("does not serve until" in page.text) is not promoted


def test_figures_stand_before_the_tables_of_their_section(tmp_path: Path) -> None:
    evidence = sample.imaging(tmp_path / "figures")
    first = evidence.figures[0]
    curve = [replace(first, name=name, title=f"Figure {name}") for name in ("arms", "roc", "curve")]
    curve[1] = replace(curve[1], name="discrimination")
    table = Table("The numbers of it", "", ["n"], [[1]], section="worth")
    shown = replace(evidence, figures=curve, tables=[table])
    page = Page(report.render(shown, sample.result(shown, tmp_path), tmp_path / "report.html"))
    assert page.text.index("Figure curve") < page.text.index("The numbers of it")


def test_markup_in_names_stays_text(site: dict[str, Any]) -> None:
    evidence, result = site["runs"][2]
    source = Page(Path(result["report"])).source
    assert "<republished>" not in source
    assert "<b>&</b>" not in source
    assert "SAMPLE BANK 7, NATIONAL ASSOCIATION &amp; TRUST CO &lt;7&gt;" in source
    card = report.model_card(replace(evidence, headline="a|b\nc <script>"), result)
    assert "a\\|b c &lt;script>" in card


def test_the_card_holds_every_metric_and_control(site: dict[str, Any]) -> None:
    for evidence, result in site["runs"]:
        card = report.model_card(evidence, result)
        for name in wording.names(evidence.metrics):
            row = next(line for line in card.splitlines() if f"`{name}`" in line)
            assert wording.number(evidence.metrics[name]) in row
            assert wording.interval(evidence.metrics, name) in row
        for expected in (*(a.name for a in evidence.arms), *evidence.limits, *evidence.findings,
                         evidence.data["digest"], evidence.data["licence"],
                         "## Intended use", "mlflow.pyfunc.load_model"):  # fmt: skip
            assert expected in card


def test_the_card_says_what_the_calibration_is_worth_where_that_may_be_told(
    site: dict[str, Any],
) -> None:
    evidence, result = site["runs"][0]
    told = replace(evidence, remarks={"calibration": ["Sets keep it."], "closer": ["By 3e-07."]})
    card = report.model_card(told, result)
    assert "- Sets keep it." in card
    assert "- By 3e-07." in card
    hidden = report.model_card(replace(told, metrics={}), result)
    assert "Sets keep it" not in hidden
    assert "3e-07" not in hidden


def test_the_tables_of_the_card_are_whole(site: dict[str, Any]) -> None:
    for evidence, result in site["runs"]:
        card = report.model_card(evidence, result)
        for block in re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE):
            widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(widths) == 1, block


def private(evidence: Evidence) -> Evidence:
    """Evidence of a run that may not release metrics, with everything a careless flow leaves in."""
    return replace(evidence, metrics={}, data={**evidence.data, "public": False})


def test_what_is_not_released_is_not_shown(site: dict[str, Any], tmp_path: Path) -> None:
    evidence, result = site["runs"][2]
    hidden = private(evidence)
    page = Page(report.render(hidden, result, tmp_path / "report.html"))
    card = report.model_card(hidden, result)
    index = Page(report.index([(hidden, result)], tmp_path / "index.html"))
    for text in (page.text, card, index.text):
        assert "not released" in text.lower()
        assert "2.98" in text
        for leak in ("0.672", "0.687", "0.716", "0.081", *evidence.findings, evidence.headline,
                     *result["gate"]["reasons"]):  # fmt: skip
            assert leak not in text
    assert page.images == []
    assert index.images == []


def test_privacy_says_what_it_covers_and_what_not(site: dict[str, Any]) -> None:
    text = Page(Path(site["runs"][2][1]["report"])).text
    for expected in ("Covered", "Not covered", "one loan", "ε = 2.98", "δ = 1e-5", "30.00"):
        assert expected in text
    without = Page(Path(site["runs"][0][1]["report"])).text
    assert "without differential privacy" in without


def test_a_reader_is_told_how_to_check_the_promise_and_what_that_leaves_out(
    site: dict[str, Any],
) -> None:
    evidence, result = site["runs"][2]
    told = Page(Path(result["report"])).text
    card = report.model_card(evidence, result)
    for text in (told, card.replace("`", "")):
        for expected in (
            f"careledger audit {result['run_id']}",
            "careledger budget verify",
            "entry 52",
            "does not attack the noise on bins",
            "bound is then 0",
        ):
            assert expected in text  # fmt: skip
    unshaped = {k: v for k, v in (evidence.privacy or {}).items() if k not in ("shape", "ledger")}
    assert "careledger audit" not in report.model_card(replace(evidence, privacy=unshaped), result)


def test_a_scorecard_is_told_with_its_signs_and_what_noise_does_to_it(site: dict[str, Any]) -> None:
    evidence, result = site["runs"][2]
    text = Page(Path(result["report"])).text
    for expected in (
        "531.9 points",
        "−10.0 to +12.7 points",
        "+9.4",
        "no terms for pairs",
        "may be noise alone",
    ):
        assert expected in text
    public = Page(report.render(replace(evidence, privacy=None), result,
                                Path(result["report"]).with_name("public.html"))).text  # fmt: skip
    assert "may be noise alone" not in public


def test_what_was_measured_on_validation_stands_beside_no_test_result(site: dict[str, Any]) -> None:
    text = Page(Path(site["runs"][2][1]["report"])).text
    assert "auroc difference" not in text
    assert "-0.031" not in text


def test_sparse_evidence_still_makes_a_page(tmp_path: Path) -> None:
    bare = Evidence("credit", "h", {"name": "mine"}, {}, {"auroc": 0.7}, [])
    page = Page(report.render(bare, {"run_id": "1", "model": None}, tmp_path / "r.html"))
    assert "0.700" in page.text
    assert "not asked yet" in report.model_card(bare, {})
    assert "not asked yet" not in page.text


def test_an_arm_without_a_metric_prints_a_dash(tmp_path: Path) -> None:
    arms = [Arm("new", "arm", {"auroc": 0.7, "ks": 0.2}, 1.0),
            Arm("size", "control", {"auroc": float("nan")}, 1.0)]  # fmt: skip
    evidence = Evidence("imaging", "h", {"name": "x"}, {}, {"auroc": 0.7}, arms)
    assert "–" in Page(report.render(evidence, {}, tmp_path / "r.html")).text


def test_the_index_tells_each_story_against_its_best_control(site: dict[str, Any]) -> None:
    page = Page(site["index"])
    for evidence, _ in site["runs"]:
        assert evidence.headline in page.text
    for control in ("six size measures", "gradient boosting", "gradient boosting, pooled"):
        assert control in page.text
    assert sum(i["tag"] == "img" for i in page.images) == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.500"), (-0.01, "-0.010"), (1e-5, "1e-5"), (0.0, "0.000"), (9105, "9,105"),
     (None, "–"), (float("nan"), "–"), (True, "yes"), ("Platt", "Platt")],
)  # fmt: skip
def test_numbers_read_alike_everywhere(value: Any, text: str) -> None:
    assert wording.number(value) == text


def test_no_number_is_a_negative_zero() -> None:
    tiny = Interval(-2e-5, -4e-4, 2e-5)
    told = [wording.with_bounds(tiny), wording.with_bounds(tiny, signed=True)]
    told += [wording.percent(tiny), wording.number(-0.0), wording.fixed(-1e-5)]
    assert not any("-0.0" in text for text in told[2:])
    assert told[:2] == ["0.000 (0.000 to 0.000)", "+0.000 (+0.000 to +0.000)"]


def test_bounds_are_not_metrics_but_names_like_bounds_are() -> None:
    assert wording.names(["auroc", "auroc_low", "auroc_high", "income_low"]) == [
        "auroc",
        "income_low",
    ]


def test_less_is_better_where_it_is() -> None:
    assert wording.best({"a": 0.1, "b": 0.2}, "death.ece") == "a"
    assert wording.best({"a": 0.1, "b": 0.2, "c": float("nan")}, "auroc") == "b"
    assert wording.best({"c": float("nan")}, "auroc") is None
