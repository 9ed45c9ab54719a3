"""What reports say in words."""

import html
import math
import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from convrfm import cnfa
from convrfm.cnfa.skipped import Skipped
from convrfm.cnfa.verdict import is_above_control, verdict
from convrfm.commands.tables import layers_table
from convrfm.report import cnfa_page


def layer_with(
    report: cnfa.Report, trained: float, rotated: float | None, spread: float | None, bias: float | None = None
) -> cnfa.LayerReport:
    layer = report["0"]
    control = None
    if rotated is not None:
        estimate = cnfa.Estimate(rotated, standard_error=spread)
        control = cnfa.Comparison(estimate, estimate)
    found = cnfa.Estimate(trained, bias=bias)
    return replace(layer, correlations=cnfa.Correlations(cnfa.Comparison(found, found), control))


@pytest.fixture(scope="module")
def report() -> cnfa.Report:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.Tanh()]
    for _ in range(9):
        layers += [nn.Conv2d(4, 4, 3, padding=1), nn.Tanh()]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 3))
    return cnfa.measure(network, torch.randn(6, 3, 4, 4), resamples=0)


@pytest.mark.parametrize(
    ("trained", "rotated", "spread", "bias", "above"),
    [
        (0.7, 0.5, 0.09, None, True),
        (0.7, 0.5, 0.11, None, False),
        (0.7, 0.5, 0.0, None, True),
        (0.7, 0.69, 0.0, -0.05, False),  # before the bias of few probes was taken off it was 0.65
        (0.7, None, 0.0, None, False),
        (0.7, 0.1, None, None, False),
        (math.nan, 0.5, 0.0, None, False),
    ],
)
def test_above_the_control_is_two_deviations_above_its_mean(
    report: cnfa.Report, trained: float, rotated: float | None, spread: float | None, bias: float | None, above: bool
) -> None:
    assert is_above_control(layer_with(report, trained, rotated, spread, bias)) is above


def test_the_verdict_counts_layers_and_says_what_it_cannot_say(report: cnfa.Report) -> None:
    good, weak = layer_with(report, 0.8, 0.5, 0.01), layer_with(report, 0.6, 0.6, 0.01)
    nothing, alone = layer_with(report, math.nan, math.nan, math.nan), layer_with(report, 0.8, None, 0)
    final = report["21"]
    assert "in 2 of 3 layers (Pearson, median 0.80 beside 0.50)" in verdict([good, good, weak, final])
    assert "in 1 of 1 layer " in verdict([good, nothing])
    assert "1 more has none (zero filters or gradients, or patches of one entry)." in verdict([good, nothing])
    assert "2 more have none" in verdict([good, nothing, nothing])
    assert "The Pearson correlation of CNFM and AGOP is 0.80 (median of 2 layers)." in verdict([good, alone])
    assert "No rotation control was taken" in verdict([good, alone])
    assert verdict([nothing]).startswith("No layer has a Pearson correlation (zero filters or gradients, or patches")
    assert "No layer counts" in verdict([final])


def test_medians_beside_each_other_both_hold_the_bias_of_few_probes(report: cnfa.Report) -> None:
    few, alone = layer_with(report, 0.76, 0.58, 0.01, bias=-0.1), layer_with(report, 0.76, None, None, bias=-0.1)
    assert verdict([few]).endswith(
        "in 1 of 1 layer (Pearson, median 0.66 beside 0.58). That is before the bias of few probes is taken off, which the "
        "control has too."
    )
    assert "is 0.66 beside 0.58 with G rotated once" in verdict([layer_with(report, 0.76, 0.58, None, bias=-0.1)])
    assert "is 0.76 (median of 1 layer). No rotation control" in verdict([alone])
    page = cnfa_page(replace(report, layers=(few,)), "few").render()
    assert "Pearson correlation of CNFM and AGOP, less the bias of few probes, median" in page
    assert "the same with gradients rotated, with that bias, median" in page
    assert "(here by more than two standard deviations of the rotations)" in page


def test_a_control_that_is_not_corrected_says_so_beside_correlations_that_are(report: cnfa.Report) -> None:
    """At the terminal, in notebooks, in pictures and on pages; not where nothing is corrected."""
    for bias, told in ((-0.1, True), (None, False)):
        found = replace(report, layers=(layer_with(report, 0.76, 0.58, 0.01, bias=bias), report["21"]))
        page = html.unescape(cnfa_page(found, "few").render())
        column, legend = layers_table(found).columns[-1].header, found.plot().axes[0].get_legend()
        shown = [str(column), repr(found), found._repr_html_(), *(text.get_text() for text in legend.get_texts()[1:])]
        assert [("G rotated (biased)" in each) for each in shown] == [told] * 4
        assert ("rotated (biased)</th>" in page) is told
        assert ("(mean and standard deviation of draws), without taking off the bias of few probes" in page) is told
        assert ("The bias of few probes is taken off all but the rotation control" in page) is told


def test_one_rotation_is_shown_without_a_spread_and_counts_for_nothing() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 2))
    found = cnfa.measure(network, torch.randn(4, 2, 4, 4), rotations=1)
    trained, rotated = found["0"].correlations.trained.pearson, found["0"].correlations.rotated.pearson
    assert rotated.standard_error is None
    assert found.verdict == (
        f"The Pearson correlation of CNFM and AGOP is {trained.value:.2f} beside {rotated.value:.2f} with G rotated once "
        "(medians of 1 layer). One rotation tells no spread, so nothing says in which layers that is more than chance: take "
        "rotations=2 or more."
    )
    page = cnfa_page(found, "one rotation").render()
    assert f"{rotated.value:.3f} ±" not in page
    assert "the same with gradients rotated (of one draw)" in page
    assert "deviations of the rotations" not in page


def test_layers_with_patches_of_one_entry_have_no_pearson_correlation_and_the_verdict_says_so() -> None:
    torch.manual_seed(0)
    pointwise = nn.Sequential(nn.Conv2d(1, 8, 1), nn.Tanh(), nn.Flatten(), nn.Linear(32, 2))
    found = cnfa.measure(pointwise, torch.randn(3, 1, 2, 2), resamples=0)
    assert math.isnan(found["0"].correlations.trained.pearson.value)
    assert "patches of one entry" in found.verdict


def test_layers_that_are_one_however_g_is_turned_do_not_count() -> None:
    """Outputs that are pooled filters, and a single filter: their AGOP is their CNFM by construction."""
    torch.manual_seed(0)
    blocks = [nn.Conv2d(2, 1, 3), nn.Tanh(), nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Conv2d(4, 3, 1)]
    found = cnfa.measure(nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten()), torch.randn(5, 2, 6, 6))
    assert not any(layer.final for layer in found.layers)
    assert found["4"].correlations.trained.pearson.value == pytest.approx(1.0, abs=1e-6)
    assert "of 1 layer (" in found.verdict
    assert "2 more are 1 however G is turned" in found.verdict
    alone = nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert cnfa.measure(alone, torch.randn(5, 2, 6, 6)).verdict.startswith("No layer tells anything of learning:")


def test_a_report_shows_itself_in_ten_lines(report: cnfa.Report) -> None:
    many = replace(report, skipped=tuple(Skipped(f"lstm{i}", "LSTM", "it is recurrent") for i in range(5)))
    for shown in (repr(report), repr(many)):
        assert len(shown.splitlines()) <= 10
        assert report.verdict in shown
        assert "and 5 more layers" in shown
    assert "left out: lstm0 (it is recurrent), lstm1" in repr(many)
    assert "and 2 more" in repr(many)


def test_a_layer_shows_itself_in_one_line(report: cnfa.Report) -> None:
    assert re.fullmatch(r"LayerReport\('0', Conv2d, patches of 3 x 3 x 3, Pearson \d\.\d{3}\)", repr(report["0"]))


def test_notebooks_show_every_layer_and_escape_names(report: cnfa.Report) -> None:
    hostile = replace(report, network="<script>", skipped=(Skipped("<b>", "LSTM", "it is recurrent"),))
    shown = hostile._repr_html_()
    assert shown.count("<tr>") == len(report.layers) + 1
    assert "<script>" not in shown
    assert html.escape("<b> (it is recurrent)") in shown


def test_the_table_at_the_terminal_has_the_verdict_and_what_was_left_out(report: cnfa.Report) -> None:
    table = layers_table(replace(report, skipped=(Skipped("lstm", "LSTM", "it is recurrent"),)))
    assert table.caption == f"{report.verdict}\nlstm (LSTM) was left out: it is recurrent."
    without = cnfa.measure(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()), torch.randn(3, 1, 4, 4), rotations=0)
    cells = [cell for column in layers_table(without).columns for cell in column.cells]
    assert "1 by construction" not in cells
