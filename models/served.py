"""What MLflow executes when it loads a version: models-from-code, so that nothing is pickled."""

from pathlib import Path

import mlflow
from mlflow.pyfunc import PythonModel, PythonModelContext

from models.scorer import Scorer, load


class PackedModel(PythonModel):
    """Serves the packed model of the artifact `package`."""

    scorer: Scorer

    def load_context(self, context: PythonModelContext) -> None:
        """Load the scorer once, when the version is loaded."""
        self.scorer = load(Path(context.artifacts["package"]))

    # MLflow reads a type hint here as a schema; the schema is the logged signature.
    def predict(self, model_input):  # type: ignore[no-untyped-def]
        """Predictions of `models.scorer.Scorer.predict`."""
        return self.scorer.predict(model_input)


mlflow.models.set_model(PackedModel())
