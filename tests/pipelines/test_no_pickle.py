"""Nothing is unpickled: not by us, and not by MLflow on our behalf."""

import ast
import pickle
from pathlib import Path

import mlflow
import pytest
from sklearn.linear_model import LogisticRegression

from pipelines.tracking import client


class Bomb:
    """Executes when unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('unpickled')",))


def test_pickled_model_in_the_registry_is_refused(home: Path, tmp_path: Path) -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    client()
    mlflow.sklearn.save_model(
        model, tmp_path / "model", serialization_format="cloudpickle", pip_requirements=[]
    )
    (tmp_path / "model" / "model.pkl").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(mlflow.MlflowException, match=r"(?i)pickle"):
        mlflow.sklearn.load_model(str(tmp_path / "model"))


def test_no_module_of_the_house_unpickles() -> None:
    root = Path(__file__).resolve().parents[2]
    for folder in ("domains", "privacy", "models", "pipelines"):
        for path in (root / folder).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(call, ast.Call):
                    assert not _unpickles(call), f"{path}:{call.lineno}"


def _unpickles(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    keywords = {word.arg: ast.unparse(word.value) for word in call.keywords}
    if name == "torch.load":
        return keywords.get("weights_only") != "True"
    if name.endswith("np.load"):
        return keywords.get("allow_pickle", "False") != "False"
    return name.startswith(("pickle.", "joblib.", "cloudpickle.")) or name.endswith("read_pickle")
