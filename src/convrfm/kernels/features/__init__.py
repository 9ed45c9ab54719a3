"""Random features: a network of finite width whose features' inner products are a kernel's values, but for a random error."""

from .feature_map import FeatureMap, check_drawable
from .random_layers import FeatureDraw, FirstFilters

__all__ = ["FeatureDraw", "FeatureMap", "FirstFilters", "check_drawable"]
