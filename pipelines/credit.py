"""Credit: default risk learned across lenders that keep their loans.

Every owner is asked for its budget before a record is read. Then clients train by turns from the
shared model, clip and noise each record's gradient at home, and only their updates travel. What
privacy costs and what federation buys is measured against controls that public records allow: no
privacy, each lender alone, all records pooled, gradient boosting, and a test on later approvals.
"""

from __future__ import annotations

from typing import Any

from prefect import flow

from models.credit_encoding import example
from pipelines.environment import time_limit
from pipelines.finish import publish
from pipelines.governance.approval import settled
from pipelines.settings import CreditConfig
from pipelines.steps.credit.at_home import personalise
from pipelines.steps.credit.charge import charge, find_loans
from pipelines.steps.credit.controls import train_controls
from pipelines.steps.credit.evidence import evaluate, held_out
from pipelines.steps.credit.fairness import with_decisions
from pipelines.steps.credit.prepare import prepare
from pipelines.steps.credit.price import price
from pipelines.steps.credit.training import package_of, train_federated
from pipelines.tracking import open_job


@flow(name="credit", timeout_seconds=time_limit())
def credit(config: CreditConfig) -> dict[str, Any]:
    """Charge, train across clients, compare, register and gate one default model.

    Each client's records are split by a keyed hash of the borrower into about 70 % training,
    10 % calibration and 20 % test. Unit of privacy: one record, added or removed.

    Returns:
        The JSON of a training run.

    Raises:
        Refused: An owner's budget does not allow the plan; no record was read.
        InputError: The file or the configuration is wrong; nothing was spent.
    """
    with open_job("credit", config, stages=9) as job:
        table = find_loans(job)
        charged = charge(job, table)
        prepared = prepare(job, charged)
        model = train_federated(job, prepared)
        controls = train_controls(job, prepared)
        personal = personalise(job, prepared, model)
        priced = price(job, prepared)
        evidence = evaluate(job, prepared, [model, *personal, *controls], priced)
        made_up = example(prepared.encoder, prepared.frame)
        held = with_decisions(job, prepared, model, held_out(prepared, config.seed))
        return settled(job, publish(job, evidence, package_of(job), made_up, held))
