"""Pictures: arrays in, matplotlib axes and figures out, without pyplot's global state."""

from .confusion import confusion_counts, plot_confusion, row_shares
from .correlations import plot_correlations
from .eigenvectors import LeadingEigenvectors, draw_eigenvectors, leading_eigenvectors, plot_eigenvectors
from .feature_maps import plot_feature_maps
from .groups import plot_groups
from .layers import plot_layers
from .levels import plot_levels
from .matrices import plot_matrices
from .rounds import plot_rounds
from .spectrum import effective_rank, plot_spectra, plot_spectrum
from .style import house_style
from .thumbnails import plot_thumbnails
from .training import plot_training

__all__ = [
    "LeadingEigenvectors",
    "confusion_counts",
    "draw_eigenvectors",
    "effective_rank",
    "house_style",
    "leading_eigenvectors",
    "plot_confusion",
    "plot_correlations",
    "plot_eigenvectors",
    "plot_feature_maps",
    "plot_groups",
    "plot_layers",
    "plot_levels",
    "plot_matrices",
    "plot_rounds",
    "plot_spectra",
    "plot_spectrum",
    "plot_thumbnails",
    "plot_training",
    "row_shares",
]
