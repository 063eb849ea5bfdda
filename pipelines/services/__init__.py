"""What one machine needs to run by itself: Prefect, MLflow, a worker, and who watches them.

`records` says what runs; `plan` what should; `up`, `down` and `deploy` are the Make targets;
`supervisor` starts what is missing and restarts what dies; `flow` is the process of one
scheduled run. Everything is kept under `<home>/services`, so two homes do not meet.
"""

from pipelines.services.records import addresses

__all__ = ["addresses"]
