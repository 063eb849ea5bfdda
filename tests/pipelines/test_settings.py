"""A configuration is right or the error says which key, what was found and what was expected."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from domains.errors import InputError
from pipelines import settings
from pipelines.settings import load_config


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CARELEDGER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_classes_and_sites_may_be_numbers() -> None:
    data = "data={kind: manifest, path: x, classes: [0, 1], site: s, split_by: site, "
    found = load_config("imaging", overrides=[data + "test_sites: [7]}"])
    assert isinstance(found, settings.ImagingConfig)
    assert found.data.classes == ["0", "1"]
    assert found.data.test_sites == ["7"]


@pytest.mark.parametrize("pipeline", sorted(settings.CONFIGS))
def test_defaults_are_a_whole_configuration(pipeline: str) -> None:
    assert load_config(pipeline).scale == "full"
    assert load_config(pipeline, scale="tiny").scale == "tiny"


def test_the_built_in_images_have_a_task_without_being_told() -> None:
    named = load_config("imaging", overrides=["data={kind: builtin, name: lidc}"])
    assert named == load_config("imaging")
    other = load_config("imaging", overrides=["data={name: lidc, label: spiculation}"])
    assert isinstance(other, settings.ImagingConfig)
    assert other.data.label == "spiculation"


@pytest.mark.parametrize(
    ("pipeline", "override", "said"),
    [
        ("credit", "rounds=many", "rounds: expected a valid integer.*found 'many'"),
        ("credit", "rounds=0", "rounds: expected.*greater than or equal to 1.*found 0"),
        ("credit", "roundz=3", "roundz: unknown key"),
        ("credit", "privacy.epsilon=-1", "privacy.epsilon: expected.*found -1"),
        ("credit", "points.base=.nan", "points.base: expected a finite number, found nan"),
        (
            "credit",
            "learning_rate=quick",
            "learning_rate: expected a valid number or 'auto', found",
        ),
        ("credit", "trees.depth=0", "trees.depth: expected greater than or equal to 1 or 'auto'"),
        ("credit", "target={positive: 1}", "target.column: missing, and needed"),
        ("credit", "bounds.x=[0, b]", "bounds.x.1: expected a valid number, found 'b'"),
        ("credit", "clients.by=x", "clients.by: expected 'iid' or 'dirichlet', found 'x'"),
        ("imaging", "strategy=magic", "strategy: found 'magic', expected auto, or one"),
        ("imaging", "strategy=[]", "strategy: found an empty list"),
        ("imaging", "model_name=a/b", "model_name: found 'a/b', expected a name without / : @"),
        (
            "imaging",
            "data={kind: folder, path: x, classes: [no, yes]}",
            r"classes: found \[False, True\]; YAML reads yes, no.*in quotes",
        ),
        ("imaging", "backbone=vgg", "backbone: expected 'efficientnet-lite0', 'dense"),
        ("imaging", "data.kind=folder", "kind folder needs path"),
        ("patients", "outcomes=[{name: a, kind: binary}]", "outcome a: kind binary needs column"),
        ("patients", "data.path=x.csv", "name at least one outcome"),
        ("patients", "test={patient: id}", "test.path: missing, and needed"),
        ("patients", "test={path: x.csv, public: true}", "test.public: unknown key"),
        ("credit", "data.path=x.csv", "target: needed for a file of your own"),
    ],
)
def test_what_is_wrong_is_named(pipeline: str, override: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        load_config(pipeline, overrides=[override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pipeline", "data"),
    [
        ("patients", "data={path: x.csv}"),
        ("imaging", "data={kind: folder, path: x}"),
        ("imaging", "data={kind: medmnist, path: x.npz}"),
    ],
)
def test_every_control_is_refused_for_private_records(pipeline: str, data: str) -> None:
    overrides = [data, "controls=full"]
    if pipeline == "patients":
        overrides.append("outcomes=[{name: a, kind: binary, column: b}]")
    with pytest.raises(InputError, match="controls: full is refused on private"):
        load_config(pipeline, overrides=overrides)
    assert load_config(pipeline, overrides=[*overrides, "data.public=true"]).controls == "full"
    assert load_config(pipeline, overrides=["controls=full"]).controls == "full"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("rounds: [", r"job\.yaml, line \d+: not YAML"),
        ("just text", "expected keys and values, found str"),
        ("- a\n- b", "expected keys and values, found list"),
        ("nonsense: 1", r"job\.yaml: nonsense: unknown key"),
        ("seed: 1\nscale: tiny\nseed: 2", r"job\.yaml, line 3: .* key seed stands twice"),
        ("data: {path: a.csv, path: b.csv}", r"job\.yaml, line 1: .* key path stands twice"),
    ],
)
def test_bad_files_are_named_with_the_place(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=said):
        load_config("credit", path)


def test_missing_file_and_binary_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such configuration file"):
        load_config("credit", tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        load_config("credit", tmp_path / "bytes.yaml")


def test_empty_file_is_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("")
    assert load_config("imaging", tmp_path / "job.yaml") == load_config("imaging")


def test_set_reaches_inner_keys_and_reads_yaml() -> None:
    config = load_config("credit", overrides=["privacy.epsilon=1.5", "protected=[Sex, Age]"])
    assert config.privacy.epsilon == 1.5  # type: ignore[attr-defined]
    assert config.protected == ["Sex", "Age"]  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"expected key\.path=value"):
        load_config("credit", overrides=["rounds"])
    with pytest.raises(InputError, match="rounds holds a value"):
        load_config("credit", overrides=["rounds=3", "rounds.deep=1"])


def test_paths_are_seen_from_the_file_that_names_them(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("data: {kind: folder, path: images}\n")
    config = load_config("imaging", path)
    assert config.data.path == tmp_path / "images"  # type: ignore[attr-defined]


def test_key_is_made_once_and_read_by_its_owner_alone(home: Path) -> None:
    key = settings.home_key()
    assert len(key) == 32
    assert settings.home_key() == key
    assert (home / "key").stat().st_mode & 0o077 == 0
    (home / "key").write_bytes(b"short")
    with pytest.raises(InputError, match="expected 32 bytes, found 5"):
        settings.home_key()


def test_two_processes_agree_on_the_key(home: Path) -> None:
    code = "from pipelines.settings import home_key; print(home_key().hex())"
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in started}) == 1
    assert sorted(os.listdir(home)) == ["key"]


def test_help_and_settings_need_no_heavy_library() -> None:
    code = (
        "import sys; import pipelines.cli; heavy = {'torch', 'monai', 'mlflow', 'prefect', "
        "'opacus', 'sklearn', 'pandas'} & set(sys.modules); sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_reference_page_is_the_one_that_make_docs_writes() -> None:
    from pipelines.reference import PAGE, page

    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"
