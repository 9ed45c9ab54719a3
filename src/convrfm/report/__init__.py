"""Reports: one self-contained HTML page that opens without a network."""

from .cnfa_page import cnfa_page
from .fit_page import fit_page
from .fit_record import FitRecord, LayerRecord, RoundRecord
from .page import Page, Section

__all__ = ["FitRecord", "LayerRecord", "Page", "RoundRecord", "Section", "cnfa_page", "fit_page"]
