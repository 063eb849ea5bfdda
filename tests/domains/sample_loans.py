"""Made-up loans whose risk depends on amount, income and purpose."""

from __future__ import annotations

import numpy as np
import pandas as pd


def sample_loans(rows: int = 1200, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    amount, income = rng.lognormal(10, 1, rows), rng.lognormal(10.5, 0.6, rows)
    purpose = rng.choice(["car", "home", "trade"], rows)
    risk = 1.5 * np.log(amount / income) + 1.2 * (purpose == "trade") - 0.8
    return pd.DataFrame(
        {
            "amount": amount.round(2),
            "income": np.where(rng.random(rows) < 0.05, np.nan, income.round(2)),
            "purpose": purpose,
            "sex": rng.choice(["f", "m"], rows),
            "bank": rng.choice(["North", "South", "West"], rows, p=[0.5, 0.3, 0.2]),
            "approved": pd.Timestamp("2004-01-01")
            + pd.to_timedelta(rng.integers(1460, size=rows), "D"),
            "defaulted": (rng.random(rows) < 1 / (1 + np.exp(-risk))).astype(int),
        }
    )
