"""Reports: one self-contained HTML page that opens without a network."""

from .cnfa_page import cnfa_page
from .fit_page import fit_page
from .fit_record import Baseline, CandidateRecord, FitRecord, LayerRecord, Mistake, NextStep, RoundRecord
from .page import Page, Section
from .prediction_page import Prediction, likeliest, prediction_page

__all__ = [
    "Baseline",
    "CandidateRecord",
    "FitRecord",
    "LayerRecord",
    "Mistake",
    "NextStep",
    "Page",
    "Prediction",
    "RoundRecord",
    "Section",
    "cnfa_page",
    "fit_page",
    "likeliest",
    "prediction_page",
]
