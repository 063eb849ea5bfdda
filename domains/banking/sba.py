"""Loans guaranteed by the US Small Business Administration: what was known at origination.

Not used, because they follow the decision or tell of the outcome: the term (it leaks: loans that
default are cut short), charge-off dates and amounts, the balance, the disbursement's date and
amount. Not used either: the lender's own state, which describes the lender and is updated when
lenders merge, and the year, which a model meets only once.

Bounds, edges and value lists are public: statutory limits of the programme, round sums on a
logarithmic scale, the industry classification's sectors and the states. None was read from the
records.
"""

from __future__ import annotations

from domains.banking.features import Categorical, Derived, Feature, Numeric

_MONEY = (1e3, 5e3, 1e4, 2e4, 3e4, 5e4, 7.5e4, 1e5, 1.5e5, 2.5e5, 5e5, 1e6, 2e6)
_PEOPLE = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 50.0, 100.0)
# Two-digit sectors of the North American Industry Classification System
_SECTORS = (11, 21, 22, 23, 31, 32, 33, 42, 44, 45, 48, 49, 51, 52, 53, 54, 55, 56, 61, 62, 71, 72,
            81, 92)  # fmt: skip
_STATES = ("AK", "AL", "AR", "AZ", "CA", "CO", "CT", "DC", "DE", "FL", "GA", "HI", "IA", "ID", "IL",
           "IN", "KS", "KY", "LA", "MA", "MD", "ME", "MI", "MN", "MO", "MS", "MT", "NC", "ND", "NE",
           "NH", "NJ", "NM", "NV", "NY", "OH", "OK", "OR", "PA", "RI", "SC", "SD", "TN", "TX", "UT",
           "VA", "VT", "WA", "WI", "WV", "WY")  # fmt: skip

DERIVED = (
    Derived("Sector", "prefix", ("NAICS",)),
    Derived("GuaranteedShare", "share", ("SBA_Appv", "GrAppv")),
    Derived("Franchise", "above_one", ("FranchiseCode",)),
)
FEATURES: tuple[Feature, ...] = (
    Numeric("GrAppv", _MONEY),
    Numeric("SBA_Appv", _MONEY),
    Numeric("GuaranteedShare", (0.0, 0.5, 0.6, 0.75, 0.8, 0.85, 0.9, 1.0)),
    Numeric("NoEmp", _PEOPLE),
    Numeric("CreateJob", _PEOPLE),
    Numeric("RetainedJob", _PEOPLE),
    Categorical("Sector", tuple(str(sector) for sector in _SECTORS)),
    Categorical("State", _STATES),
    Categorical("UrbanRural", ("0", "1", "2")),
    Categorical("RevLineCr", ("0", "N", "T", "Y")),
    Categorical("LowDoc", ("N", "Y")),
    Categorical("NewExist", ("1", "2")),
    Categorical("Franchise", ("no", "yes")),
)
TARGET, POSITIVE = "MIS_Status", "CHGOFF"
LENDER, BORROWER, LOAN, APPROVED = "Bank", "borrower_id", "LoanNr_ChkDgt", "ApprovalDate"
LENDERS = 20
WINDOW = ("2000-01-01", "2007-12-31")
OUT_OF_TIME = "2006-01-01"
