"""What a report says, in words and at a glance."""

import html
import math
from collections.abc import Sequence
from statistics import median

from ..quantities import counted
from .layer_report import LayerReport
from .skipped import Skipped

SPREADS = 2
"""A correlation counts as above its control from this many standard deviations of the rotations on."""
SHOWN_LAYERS = 6
ROUNDING = 1e-6  # of a correlation of 1
UNDEFINED = "zero filters or gradients, or patches of one entry"
"""Where a matrix is zero or constant."""


def is_above_control(layer: LayerReport) -> bool:
    """Whether the Pearson correlation, before its bias is taken off, exceeds what rotated gradients give.

    It must lie above the mean of the rotations by more than two of their standard deviations, which one rotation has not.
    """
    rotated = layer.correlations.rotated
    if rotated is None or rotated.pearson.standard_error is None:
        return False
    return _as_measured(layer) > rotated.pearson.value + SPREADS * rotated.pearson.standard_error


def are_corrected(layers: Sequence[LayerReport]) -> bool:
    """Whether the bias of few probes is taken off correlations, and so is not off their rotation controls."""
    return any(layer.correlations.trained.pearson.bias is not None for layer in layers if not layer.final)


def rotated_title(layers: Sequence[LayerReport], title: str = "G rotated") -> str:
    """What the rotation control is called beside the correlations of these layers: the verdict says which bias it has."""
    return f"{title} (biased)" if are_corrected(layers) else title


def is_one_however_turned(layer: LayerReport) -> bool:
    """Whether the correlation is 1 with its own G and with any other: of filters along one direction, or of a G that is a
    multiple of the identity, as where filters are outputs but for pooling (told of exact Gs: those of probes are noisy).
    """
    trained, rotated = layer.correlations.trained.pearson, layer.correlations.rotated
    return rotated is not None and trained.value > 1 - ROUNDING and rotated.pearson.value > 1 - ROUNDING


def verdict(layers: Sequence[LayerReport]) -> str:
    """One or two sentences: in how many layers the ansatz says more than the algebra, and by how much."""
    learned = [layer for layer in layers if not layer.final]
    if not learned:
        return "No layer counts: the only one makes the outputs, and its AGOP is its CNFM by construction."
    having = [layer for layer in learned if not math.isnan(layer.correlations.trained.pearson.value)]
    without = len(learned) - len(having)
    left_out = f" {without} more {'has' if without == 1 else 'have'} none ({UNDEFINED})." if without else ""
    if not having:
        return f"No layer has a Pearson correlation ({UNDEFINED})."
    defined = [layer for layer in having if not is_one_however_turned(layer)]
    if alike := len(having) - len(defined):
        are = "is" if alike == 1 else "are"
        left_out += f" {alike} more {are} 1 however G is turned, which tells nothing of learning."
    if not defined:
        return "No layer tells anything of learning: the Pearson correlation is 1 however G is turned."
    controls = [layer.correlations.rotated.pearson for layer in defined if layer.correlations.rotated]
    beside = len(controls) == len(defined)
    typical = median(_as_measured(layer) if beside else layer.correlations.trained.pearson.value for layer in defined)
    plain = f"The Pearson correlation of CNFM and AGOP is {typical:.2f}"
    if not beside:
        return (
            f"{plain} (median of {counted(len(defined), 'layer')})."
            f"{left_out} No rotation control was taken, so nothing says how much of that comes for free."
        )
    control = median(estimate.value for estimate in controls)
    if any(layer.correlations.trained.pearson.bias for layer in defined):
        left_out = f" That is before the bias of few probes is taken off, which the control has too.{left_out}"
    if any(estimate.standard_error is None for estimate in controls):
        return (
            f"{plain} beside {control:.2f} with G rotated once (medians of {counted(len(defined), 'layer')}).{left_out} One "
            "rotation tells no spread, so nothing says in which layers that is more than chance: take rotations=2 or more."
        )
    above = sum(map(is_above_control, defined))
    return (
        "CNFM and AGOP correlate above their rotation control, by more than two of its standard deviations, in "
        f"{above} of {counted(len(defined), 'layer')} "
        f"(Pearson, median {typical:.2f} beside {control:.2f}).{left_out}"
    )


def left_out_line(skipped: Sequence[Skipped]) -> str:
    """What ran and was not measured, in a line; empty if there was nothing."""
    if not skipped:
        return ""
    named = ", ".join(f"{each.name} ({each.reason})" for each in skipped[:3])
    return f"left out: {named}" + (f", and {len(skipped) - 3} more" if len(skipped) > 3 else "")


def glance(layers: Sequence[LayerReport]) -> list[tuple[str, str, str, str]]:
    """Name, kind, Pearson correlation and its rotation control of each layer."""
    return [(layer.name, layer.kind, *_numbers(layer)) for layer in layers]


def as_text(heading: str, layers: Sequence[LayerReport], skipped: Sequence[Skipped], warnings: Sequence[str]) -> str:
    """At most ten lines: fewer layers where there are warnings."""
    most, rotated = SHOWN_LAYERS - len(warnings), rotated_title(layers)
    shown = [
        f"  {name}  {kind}  Pearson {value}" + (f", {rotated} {control}" if control else "")
        for name, kind, value, control in glance(layers[:most])
    ]
    more = [f"  and {len(layers) - most} more layers"] if len(layers) > most else []
    left_out = [left_out_line(skipped)] if skipped else []
    return "\n".join([heading, *warnings, verdict(layers), *shown, *more, *left_out])


def as_html(heading: str, layers: Sequence[LayerReport], skipped: Sequence[Skipped], warnings: Sequence[str]) -> str:
    """A table of all layers under the warnings and the verdict, for notebooks."""
    head = "".join(f"<th>{title}</th>" for title in ("layer", "kind", "Pearson", rotated_title(layers)))
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in glance(layers)
    )
    left_out = f"<p>{html.escape(left_out_line(skipped))}</p>" if skipped else ""
    told = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in (*warnings, verdict(layers)))
    return (
        f"<p><b>{html.escape(heading)}</b></p>{told}"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{left_out}"
    )


def _as_measured(layer: LayerReport) -> float:
    """The Pearson correlation before the bias of few probes is taken off, which its rotation control has too."""
    trained = layer.correlations.trained.pearson
    return trained.value + (trained.bias or 0)


def _numbers(layer: LayerReport) -> tuple[str, str]:
    if layer.final:
        return "1 by construction", ""
    trained, rotated = layer.correlations.trained.pearson, layer.correlations.rotated
    return f"{trained.value:.3f}", "" if rotated is None else f"{rotated.pearson.value:.3f}"
