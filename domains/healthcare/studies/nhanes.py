"""NHANES 2017–2018: what people were asked, and what was measured, at one visit."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from domains.healthcare.cohort.schema import Range
from domains.healthcare.outcomes.spec import Outcome
from domains.healthcare.studies.study import Study, because

_OUTCOMES = (
    Outcome("asthma", "binary", column="EverBeenToldYouHaveAsthma"),
    Outcome("arthritis", "binary", column="DoctorEverSaidYouHadArthritis"),
    Outcome("heart_attack", "binary", column="EverToldYouHadHeartAttack"),
    Outcome("stroke", "binary", column="EverToldYouHadAStroke"),
    Outcome("cancer", "binary", column="EverToldYouHadCancerOrMalignancy"),
    Outcome(
        "diabetes",
        "binary",
        column="DoctorToldYouHaveDiabetes",
        positive=(1,),
        missing=("Borderline",),
    ),
    Outcome("prediabetes", "binary", column="EverToldYouHavePrediabetes"),
    Outcome("sleep_trouble", "binary", column="EverToldDoctorHadTroubleSleeping"),
)

_DIAGNOSES = because(
    "a diagnosis, told by or to a doctor: what is predicted",
    *(str(outcome.column) for outcome in _OUTCOMES),
)
_ONLY_AFTER = because(
    "asked only of people who have the diagnosis",
    *("AgeWhenToldYouHadHeartAttack", "AgeWhenToldYouHadAStroke"),
    *("1StCancerWhatKindWasIt", "Age1StCancerMcq230ADiagnosed"),
    *("AgeWhenFirstToldYouHadDiabetes", "WhatWasYourLastA1CLevel"),
)
_NOT_AFTER = because(
    "asked only of people without diabetes, or of those told that they are at risk of it",
    *("EverToldHaveHealthRiskForDiabetes", "FamilyHistory"),
)
_DEFINES = {
    "Glycohemoglobin": "its thresholds define diabetes and prediabetes",
    "TroubleSleepingOrSleepingTooMuch": "asks for trouble sleeping itself",
}
_TREATMENT = because(
    "treatment of a diagnosis",
    *("TakingInsulinNow", "TakeDiabeticPillsToLowerBloodSugar"),
    *("OnSpecialDiet", "DiabeticDiet", "LowCarbohydrateDiet", "LowSaltlowSodiumDiet"),
    *("LowFatlowCholesterolDiet", "WeightLosslowCalorieDiet"),
)
_FOLLOWS = because(
    "a limitation, or a view of one's own health, that follows from the diagnoses",
    *("GeneralHealthCondition", "PhysicalMentalEmotionalLimitations"),
    *("HaveSeriousDifficultyWalking", "HaveSeriousDifficultyConcentrating"),
    *("HaveDifficultyDressingOrBathing", "HaveDifficultyDoingErrandsAlone"),
    *("DifficultyManagingMoney", "ExperienceConfusionmemoryProblems"),
    "DifficultyTheseProblemsHaveCaused",
)
_NO_MEASURE = {
    **because(
        "a time of the clock, of which the hours of sleep are the difference",
        *("UsualSleepTimeOnWeekdaysOrWorkdays", "UsualWakeTimeOnWeekdaysOrWorkdays"),
    ),
    "RacehispanicOrigin": "the coarser twin of RacehispanicOriginWNhAsian",
}

# Numbers that mean more than can be said, not yet, refused or not known, where no other fits.
_CODES = {
    "AgeStoppedBreastfeedingdays": (666666, 999999),
    "AgeFirstFedFormuladays": (666666, 999999),
    "AgeStoppedReceivingFormuladays": (666666, 999999),
    "AgeStartedOtherFoodbeverage": (666666, 999999),
    "AgeFirstFedMilkdays": (666666, 999999),
    "OfTimesweekGetSchoolLunch": (9999,),
    "OfTimesweekGetSchoolBreakfast": (9999,),
    "OfMealsNotHomePrepared": (5555, 7777, 9999),
    "OfMealsFromFastFoodOrPizzaPlace": (5555, 9999),
    "OfReadytoeatFoodsInPast30Days": (6666, 9999),
    "OfFrozenMealspizzaInPast30Days": (6666, 9999),
    "DaysSmokedCigarettesLast5Days": (9,),
    "MinutesSedentaryActivity": (9999,),
    "DaysUsedMarijuanaOrHashishmonth": (999,),
    "AgeStartedSmokingCigarettesRegularly": (999,),
    "DaysSmokedCigsDuringPast30Days": (99,),
    "AvgCigarettesdayDuringPast30Days": (777, 999),
    "TimesStoppedSmokingCigarettes": (999,),
    "HowLongWereYouAbleToStopSmoking": (9999,),
    "CurrentSelfreportedHeightInches": (7777, 9999),
    "CurrentSelfreportedWeightPounds": (7777, 9999),
}


def _rows(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The survey's one row a person, with codes that are no measure emptied."""
    frame = tables[0].copy()
    for name, codes in _CODES.items():
        frame[name] = frame[name].mask(frame[name].isin(codes))
    return frame


STUDY = Study(
    name="nhanes",
    patient="SEQN",
    outcomes=_OUTCOMES,
    never={
        **_DIAGNOSES,
        **_ONLY_AFTER,
        **_NOT_AFTER,
        **_DEFINES,
        **_TREATMENT,
        **_FOLLOWS,
        **_NO_MEASURE,
    },
    predicted="at the survey, which asks for diagnoses of any time before: none lies ahead",
    rows=_rows,
    ranges={
        "AgeInYearsAtScreening": Range(0, 120, "years"),
        "WeightKg": Range(1, 400, "kg"),
        "StandingHeightCm": Range(50, 250, "cm"),
        "BodyMassIndexKgm2": Range(5, 120, "kg/m2"),
        "WaistCircumferenceCm": Range(20, 250, "cm"),
        "SystolicBloodPres1StRdgMmHg": Range(40, 300, "mmHg"),
        "DiastolicBloodPres1StRdgMmHg": Range(0, 200, "mmHg"),
        "TotalCholesterolMgdl": Range(30, 1000, "mg/dl"),
        "DirectHdlcholesterolMgdl": Range(1, 300, "mg/dl"),
        "BloodLeadUgdl": Range(0, 200, "ug/dl"),
        "SleepHoursWeekdaysOrWorkdays": Range(0, 24, "hours"),
    },
    groups={"sex": "Gender", "age": "AgeInYearsAtScreening", "race": "RacehispanicOriginWNhAsian"},
)
"""Eight diagnoses that people were told of or told a doctor of, from the rest of the survey. Most
are asked of adults only and unknown in children; borderline diabetes is neither yes nor no."""
