"""The meter: patch-AGOP against filter covariance, in any network."""

from .estimates import Comparison, Estimate
from .layer_report import Correlations, LayerReport
from .lightning import lightning_callback
from .look import TopPatches, feature_maps, top_patches
from .measuring import measure, patch_agop
from .merging import merge
from .report import Report
from .skipped import Skipped
from .tracker import Tracker

__all__ = [
    "Comparison",
    "Correlations",
    "Estimate",
    "LayerReport",
    "Report",
    "Skipped",
    "TopPatches",
    "Tracker",
    "feature_maps",
    "lightning_callback",
    "measure",
    "merge",
    "patch_agop",
    "top_patches",
]
