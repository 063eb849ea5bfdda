"""The production side: flows, tracking, registry, gate, reports and the command line."""

from pipelines.environment import prepare

prepare()  # before any module here imports Prefect, MLflow or Matplotlib
