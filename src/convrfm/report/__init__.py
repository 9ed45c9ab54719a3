"""Reports: one self-contained HTML page that opens without a network."""

from convrfm.report.cnfa_page import cnfa_page
from convrfm.report.fit_page import fit_page
from convrfm.report.fit_record import FitRecord, RoundRecord
from convrfm.report.page import Page, Section

__all__ = ["FitRecord", "Page", "RoundRecord", "Section", "cnfa_page", "fit_page"]
