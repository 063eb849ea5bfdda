"""What the imaging flow found, in plain sentences computed from its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from domains.metrics import Interval
from pipelines.reporting.wording import with_bounds
from pipelines.steps.imaging.bases import Base
from pipelines.steps.imaging.prepare import Prepared
from pipelines.steps.imaging.training import Trained
from pipelines.steps.imaging.trust import Trust

RANDOM, SIZE = "random-weights", "size-features"
_FEW = 100
_FEW_GROUPS = 20
_DEARER = 1.5  # times as long, below which two trainings cost the same


@dataclass(frozen=True)
class Story:
    """Everything the sentences are computed from.

    `gaps` holds paired differences of AUROC, the first name's minus the second's; `views` what
    test-time augmentation did, where it is used; `open_to` what flawless answers leave open of the
    best arm's AUROC, see `domains.flawless`.
    """

    prepared: Prepared
    bases: list[Base]
    trained: list[Trained]
    best: Trained
    metrics: dict[str, dict[str, float]]
    gaps: dict[tuple[str, str], Interval]
    calibration: dict[str, float | str | int]
    trust: Trust = field(default_factory=Trust)
    views: list[str] = field(default_factory=list)
    open_to: float = 0.0

    def gap(self, new: str, old: str) -> Interval | None:
        """AUROC of `new` minus that of `old`; None where one of them was not trained."""
        if (new, old) in self.gaps:
            return self.gaps[new, old]
        turned = self.gaps.get((old, new))
        return None if turned is None else Interval(-turned.value, -turned.high, -turned.low)

    def auroc(self, name: str) -> str:
        """`.842 (.801 to .880)` of one arm."""
        m = self.metrics[name]
        ends = (m.get(f"auroc_{end}", float("nan")) for end in ("low", "high"))
        return with_bounds(Interval(m["auroc"], *ends))


def headline(story: Story) -> str:
    """One sentence with the result in it."""
    test, name = story.prepared.target.split_counts()["test"], story.best.name
    text = (
        f"{name} tells {_classes(story)} apart with AUROC {story.auroc(name)} "
        f"on {test['records']:,} test images"
    )
    rivals = [(name, gap) for name in (RANDOM, SIZE) if (gap := story.gap(story.best.name, name))]
    return ", ".join([text, *(f"{_signed(gap)} against {name}" for name, gap in rivals)]) + "."


def _classes(story: Story) -> str:
    names = story.prepared.target.classes
    if story.prepared.target.multilabel:
        return f"images with and without {len(names)} labels"
    return f"{names[0]} and {names[1]}" if len(names) == 2 else f"{len(names)} classes"


def _signed(gap: Interval) -> str:
    return with_bounds(gap, signed=True)


def findings(story: Story) -> list[str]:
    """Which strategy to use, how sure that is, and what it was worth."""
    return [*_size_first(story), _advice(story), *_against_controls(story), *story.trust.said[:1]]


def remarks(story: Story, worth: Sequence[str] = ()) -> dict[str, list[str]]:
    """Section of the report → what else the numbers say there; `worth` goes to the first."""
    return {
        "worth": [*_against_each_other(story), *_source(story), *story.views, *worth],
        "calibration": [_calibrated(story), *story.trust.said[1:]],
        "closer": story.trust.exported,
    }


def _size_first(story: Story) -> Iterator[str]:
    """What to do instead of using a net, where nothing shows that it adds to a measured size."""
    sizes, gap = story.prepared.target.sizes(), story.gap(story.best.name, SIZE)
    if sizes is not None and gap is not None and gap.low <= 0:
        yield (
            f"Measure the size first: size alone ({sizes.shape[1]} features, no image) reaches "
            f"AUROC {story.auroc(SIZE)} on test images, and {story.best.name} differs from it by "
            f"{_signed(gap)}, {_verdict(gap)}: nothing shows that the images add to it."
        )


def _advice(story: Story) -> str:
    """Which arm to use, and whether its lead over the next one is more than chance."""
    arms = [t for t in story.trained if t.role == "arm"]
    best = story.best
    only = "Only where size cannot be measured, use" if any(_size_first(story)) else "Use"
    whom = "pictures" if not story.prepared.target.names_patients() else "patients"
    said = (
        f"{only} {best.name}: on validation images its AUROC was the highest "
        f"({best.validation:.3f}), and on test images it is {story.auroc(best.name)}."
    )
    rivals = [each for each in arms if each is not best]
    if not rivals:
        return f"{said} No other strategy was trained to compare it with."
    second = max(rivals, key=lambda each: each.validation)
    gap = story.gap(best.name, second.name)
    if gap is None:
        return said
    lead = (
        f"the next, {second.name} ({second.validation:.3f} on validation), differs by "
        f"{_signed(gap)} on the same test images"
    )
    return f"{said} How sure: {lead}; {_sure(gap, best, second, whom)}."


def _sure(gap: Interval, best: Trained, second: Trained, whom: str) -> str:
    if gap.low > 0:
        return "the choice holds beyond its interval"
    if gap.high < 0:
        return f"test images say {second.name}, beyond its interval: choose with care"
    cheap = min((best, second), key=lambda each: each.seconds)
    dear = best if cheap is second else second
    said = f"these two cannot be told apart on so few {whom}"
    if dear.seconds < _DEARER * cheap.seconds:
        return f"{said}, and train about as long"
    return f"{said}, and {cheap.name} trains in {cheap.seconds:.1f} s against {dear.seconds:.1f} s"


def _against_controls(story: Story) -> Iterator[str]:
    name = story.best.name
    if gap := story.gap(name, RANDOM):
        yield (
            f"A base with random weights and the same kind of head reaches {story.auroc(RANDOM)}: "
            f"what {name} has learned is worth {_signed(gap)}, {_verdict(gap)}."
        )
    sizes = story.prepared.target.sizes()
    if sizes is not None and (gap := story.gap(name, SIZE)) and gap.low > 0:
        yield (
            f"Size alone ({sizes.shape[1]} features, no image) reaches AUROC {story.auroc(SIZE)}; "
            f"the net adds {_signed(gap)}, {_verdict(gap)}."
        )


def _verdict(gap: Interval) -> str:
    if gap.low > 0:
        return "a gain beyond its interval"
    return "a loss beyond its interval" if gap.high < 0 else "no difference beyond its interval"


def _against_each_other(story: Story) -> Iterator[str]:
    known = story.best.name  # whose gain over random weights is among the findings
    if known != "transfer-imagenet" and (gap := story.gap("transfer-imagenet", RANDOM)):
        yield (
            f"Frozen ImageNet weights against frozen random ones: {_signed(gap)}, {_verdict(gap)}."
        )
    if gap := story.gap("transfer-source", "transfer-imagenet"):
        yield (
            "Frozen, the base trained on the related source task against ImageNet's: "
            f"{_signed(gap)}, {_verdict(gap)}."
        )
    for arm in story.trained:
        start = f"transfer-{arm.base}"
        if arm.role == "arm" and arm.name != start and (gap := story.gap(arm.name, start)):
            earned = "earned its keep" if gap.low > 0 else "did not earn its keep"
            yield (
                f"{arm.name} {earned} here: {_signed(gap)} against the same base kept frozen, for "
                f"{arm.seconds:.1f} s of training against {_seconds(story, start):.1f} s."
            )


def _seconds(story: Story, name: str) -> float:
    return next(t.seconds for t in story.trained if t.name == name)


def _source(story: Story) -> Iterator[str]:
    source = story.prepared.source
    for base in story.bases:
        if base.trials and source is not None:
            unit = "AUROC" if source.classes else "mean R²"
            listed = ", ".join(f"from {start} {score:.3f}" for start, score in base.trials.items())
            what = ", ".join(source.targets) if source.targets else f"{len(source.classes)} classes"
            named = source.names_patients() and story.prepared.target.names_patients()
            who = " of other patients" if named else ", perhaps some of target patients"
            yield (
                f"The source task ({what}; {len(source.used()):,} images{who}) was "
                f"learned; {unit} on its own validation images: {listed}."
            )


def _calibrated(story: Story) -> str:
    c = story.calibration
    if not str(c["method"]).startswith("temperature"):
        return f"Not calibrated: {c['records']} calibration images are too few."
    heat = c["temperature"]
    after = Interval(*(float(c.get(key, "nan")) for key in ("ece_after", "ece_low", "ece_high")))
    by = f" by {heat:.2f}" if isinstance(heat, float) else ", one temperature a label"
    return (
        f"Temperature scaling{by}, fitted on {c['records']} calibration images that neither "
        "trained nor chose anything, takes the calibration error on test images from "
        f"{c['ece_before']:.3f} to {with_bounds(after)}."
    )


def limits(story: Story) -> list[str]:
    """What a reader must not conclude."""
    target = story.prepared.target
    counts = target.split_counts()
    test, validation = counts["test"], counts["validation"]["records"]
    said = [
        f"One split and one training run an arm: intervals tell of the {test['groups']:,} test "
        f"groups ({test['records']:,} images) alone, not of another draw of training images."
    ]
    if not target.names_patients():
        said.insert(
            0,
            "No patients are named: whatever this report says by patient, it counts by picture, "
            "copies of one together and slices of one volume. Where several pictures show one "
            "person, intervals are too narrow, test images are too easy, and what prediction sets "
            "and the warning promise holds for pictures, not for persons.",
        )
    if story.prepared.silhouettes:
        said = [
            "The images are silhouettes drawn by radiologists (how many millimetres of outlined "
            "nodule lie behind each point), not CT grey values: nothing here shows what a net "
            "could see in a CT scan.",
            "The labels are radiologists' ratings, not pathology; several readers rated one "
            "nodule, and each of their outlines is an image of its own.",
            *said,
        ]
    if test["groups"] < _FEW_GROUPS:
        said.append(
            f"Intervals from {test['groups']} test groups are too narrow: what lies beyond its "
            "interval may be chance."
        )
    source = story.prepared.source
    if source is not None and not (source.names_patients() and target.names_patients()):
        said.append(
            "Patients are not named in both the source and the target images: copies of target "
            "images took no part in the source task, but other images of the same patients may "
            "have, which flatters every arm that starts from it."
        )
    if story.open_to > 0:
        some = "" if story.metrics[story.best.name]["auroc"] == 1.0 else " of some classes"
        said.append(
            f"{story.best.name} ranks every test image{some} right, and so does every resample of "
            "them: its interval is as wide as so few patients ask for (Clopper and Pearson's "
            "bound, of pairs of patients), and a measure without such a bound has none."
        )
    if validation < _FEW:
        said.append(f"The arm was chosen on {validation} validation images, which is few.")
    if not target.dataset.public:
        said += [
            "Trained without differential privacy: whoever holds the weights may learn of training "
            "images. Test metrics are not differentially private either.",
            "The images are private, and so the report shows none of them.",
        ]
    return [
        *said,
        *story.trust.limits,
        f"Images are squeezed to {story.prepared.size} × {story.prepared.size} pixels, whatever "
        "their shape was.",
    ]
