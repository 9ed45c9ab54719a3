"""The meter: patch-AGOP against filter covariance, in any network."""

from .layer_report import Correlations, LayerReport
from .estimates import Comparison, Estimate
from .measuring import measure, patch_agop
from .report import Report

__all__ = ["Comparison", "Correlations", "Estimate", "LayerReport", "Report", "measure", "patch_agop"]
