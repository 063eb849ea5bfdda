"""The house stands as it is drawn: directions of import, folders, targets, schedules."""

import ast
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FLOORS = ("domains", "privacy", "models", "pipelines")  # each may import what stands left of it
SOURCES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
HEAVY = {"dp_accounting", "mlflow", "monai", "opacus", "prefect", "sklearn", "torch"}


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            yield node.lineno, node.module or ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    floor = FLOORS.index(path.relative_to(ROOT).parts[0])
    forbidden = {*FLOORS[floor + 1 :], "tests", "benchmarks"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for line, name in _imports(ast.parse(path.read_text()))
        if name.partition(".")[0] in forbidden
    ]
    assert not wrong


@pytest.mark.parametrize(
    "module", ["pipelines.cli", "pipelines.settings", "pipelines.environment", "pipelines.services"]
)
def test_the_command_line_starts_without_heavy_packages(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_what_is_imported_is_declared_and_nothing_else_is() -> None:
    owners = importlib.metadata.packages_distributions()
    modules = {
        name.partition(".")[0]
        for path in SOURCES
        for _, name in _imports(ast.parse(path.read_text()))
    }
    foreign = modules - set(sys.stdlib_module_names) - set(FLOORS)
    owned = {name: {o.lower().replace("_", "-") for o in owners[name]} for name in foreign}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["onnx"]]
    declared = {re.split(r"[<>=\[]", line)[0] for line in lines}
    assert [name for name, by in owned.items() if not by & declared] == []
    # a bound alone; a decoder that pydicom finds; what torch.onnx imports
    not_imported = {"sqlalchemy", "pyjpegls", "onnx", "onnxscript"}
    assert declared - not_imported - set().union(*owned.values()) == set()


def test_the_mlflow_folder_holds_no_python_and_hides_nothing() -> None:
    assert list((ROOT / "mlflow").rglob("*.py")) == []
    found = importlib.util.find_spec("mlflow")
    assert found is not None
    assert found.origin is not None, "import mlflow finds the folder, not the package"
    assert "site-packages" in found.origin


def test_source_files_stay_short() -> None:
    long = {str(p.relative_to(ROOT)): n for p in SOURCES if (n := _lines(p)) > 300}
    assert not long


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_every_target_has_a_line_of_help_without_an_environment(tmp_path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    (tmp_path / "Makefile").write_text(makefile)
    done = subprocess.run(
        ["make", "help"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    described = {line.split()[0] for line in done.stdout.splitlines()}
    assert described == {*phony.group(1).split(), "bench-%"}
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]


def test_the_lock_pins_versions_and_names_no_place() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", pin) for pin in pins)
    assert not re.search(r"https?:|file:|--", "\n".join(lines))


DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda each: each["name"])
def test_every_schedule_names_a_flow_and_a_valid_configuration(deployment: dict[str, Any]) -> None:
    from pipelines.settings import CONFIGS, ScoreConfig

    path, _, name = deployment["entrypoint"].partition(":")
    function = _functions(ROOT / path)[name]
    assert [argument.arg for argument in function.args.args] == ["config"]
    configs: dict[str, Any] = {**CONFIGS, "score": ScoreConfig}
    configs[name].model_validate(deployment["parameters"]["config"])
    assert deployment["schedules"][0]["cron"]
    assert deployment["schedules"][0]["timezone"]
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}
    assert "timeout_seconds=time_limit()" in ast.unparse(function.decorator_list[0])
    assert float(deployment["work_pool"]["job_variables"]["env"]["CARELEDGER_TIME_LIMIT"]) > 0


def test_each_pipeline_is_trained_and_its_champion_scores_on_a_schedule() -> None:
    from pipelines.settings import CONFIGS

    named = {deployment["name"] for deployment in DEPLOYMENTS}
    assert named == {f"{verb}-{pipeline}" for verb in ("train", "score") for pipeline in CONFIGS}
    for deployment in DEPLOYMENTS:
        if deployment["name"].startswith("score-"):
            model = deployment["parameters"]["config"]["model"]
            assert model.startswith(deployment["name"].removeprefix("score-"))
            assert model.endswith("@champion")


def test_two_trainings_never_run_side_by_side() -> None:
    from pipelines.services.deploy import QUEUES

    queues = {each["name"]: each["work_pool"]["work_queue_name"] for each in DEPLOYMENTS}
    assert {queue for name, queue in queues.items() if name.startswith("train-")} == {"training"}
    assert {queue for name, queue in queues.items() if name.startswith("score-")} == {"scoring"}
    assert QUEUES == {"training": 1, "scoring": None}


def _functions(path: Path) -> dict[str, ast.FunctionDef]:
    body = ast.parse(path.read_text()).body
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}


def test_the_schedules_parse_as_prefect_parses_them() -> None:
    from prefect.cli.deploy._models import PrefectYamlModel, RawScheduleConfig

    parsed = PrefectYamlModel.model_validate(yaml.safe_load((ROOT / "prefect.yaml").read_text()))
    for deployment in parsed.deployments:
        assert deployment.work_pool is not None
        assert deployment.work_pool.name == "careledger"
        assert all(isinstance(each, RawScheduleConfig) for each in deployment.schedules or [])


def test_the_container_serves_the_locked_version_of_mlflow() -> None:
    compose = yaml.safe_load((ROOT / "mlflow" / "compose.yaml").read_text())
    locked = re.search(r"^mlflow==(.*)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert locked is not None
    assert compose["services"]["mlflow"]["image"].endswith(f":v{locked.group(1)}")
