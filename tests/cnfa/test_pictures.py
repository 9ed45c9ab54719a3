"""Reports draw themselves."""

import html
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import nn

from convrfm import cnfa
from convrfm.errors import InputError
from convrfm.report import cnfa_page


@pytest.fixture(scope="module")
def report() -> cnfa.Report:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)
    )
    start = {name: value + 0.1 for name, value in network.state_dict().items()}
    return cnfa.measure(network, torch.randn(8, 3, 6, 6), initial=start)


def heights(figure: Figure) -> dict[str, list[float]]:
    return {
        bars.get_label(): [bar.get_height() for bar in bars] for bars in figure.axes[0].containers if len(bars) == 2
    }


def test_bars_are_the_correlations_of_layers_that_count(report: cnfa.Report) -> None:
    drawn = heights(report.plot())
    counted = [layer.correlations for layer in report.layers if not layer.final]
    np.testing.assert_allclose(drawn["CNFM and AGOP"], [c.trained.pearson.value for c in counted])
    np.testing.assert_allclose(drawn["the same, G rotated"], [c.rotated.pearson.value for c in counted])
    np.testing.assert_allclose(drawn["initial and trained CNFM"], [c.initial_cnfm.pearson.value for c in counted])


def test_matrices_are_drawn_at_one_trace(report: cnfa.Report) -> None:
    figure = report.plot("0")
    shown = {ax.get_title(loc="left"): ax.images[0].get_array() for ax in figure.axes if ax.get_title(loc="left")}
    assert set(shown) == {"initial CNFM", "CNFM", "AGOP"}
    for matrix in shown.values():
        assert np.trace(matrix) == pytest.approx(1, abs=1e-5)
    with pytest.raises(InputError, match="layer '2' has 4 groups"):
        report.plot("2")


def test_an_unknown_measure_is_named(report: cnfa.Report) -> None:
    with pytest.raises(InputError, match='"pearson" or "cosine"; got \'spearman\''):
        report.plot(measure="spearman")


def test_bars_without_a_layer_that_counts_are_refused_for_that(report: cnfa.Report) -> None:
    with pytest.raises(InputError, match="a layer beside the final one; the report has none"):
        replace(report, layers=report.layers[-1:]).plot()


def test_the_page_holds_every_layer_and_its_numbers(report: cnfa.Report) -> None:
    page = cnfa_page(report, "A <small> network", command="convrfm cnfa x y", notes=["Six images."]).render()
    assert "A &lt;small&gt; network" in page
    assert "Six images." in page
    assert "convrfm cnfa x y" in page
    for layer in report.layers:
        if not layer.final:
            assert f"{layer.correlations.trained.pearson.value:.3f}" in page
            assert f"{layer.correlations.rotated.pearson.value:.3f}" in page
    assert "Layer 5 makes the outputs" in page


def error_bars(figure: Figure) -> list[list[float]]:
    """Lower and upper ends of those that are drawn."""
    bars = [lines for lines in figure.axes[0].collections if isinstance(lines, LineCollection)]
    segments = [segment for lines in bars for segment in lines.get_segments()]
    return [segment[:, 1].tolist() for segment in segments if segment.size]


def without_interval(layer: cnfa.LayerReport) -> cnfa.LayerReport:
    trained = layer.correlations.trained
    bare = replace(trained, pearson=replace(trained.pearson, interval=None))
    return replace(layer, correlations=replace(layer.correlations, trained=bare))


def test_a_layer_without_an_interval_takes_no_error_bar_from_the_others(report: cnfa.Report) -> None:
    first, second, last = report.layers
    assert len(error_bars(report.plot())) == 2
    (drawn,) = error_bars(replace(report, layers=(without_interval(first), second, last)).plot())
    assert drawn == pytest.approx(second.correlations.trained.pearson.interval)
    assert error_bars(replace(report, layers=(without_interval(first), without_interval(second), last)).plot()) == []


@pytest.mark.parametrize(
    ("sizes", "options", "told"),
    [
        ([8], {}, " (in brackets bootstrap intervals over images)"),
        ([8], {"probes": 4}, " (in brackets bootstrap intervals over images, with the error of probing)"),
        ([1], {"probes": 4}, " (after ± the standard error of probing alone)"),
        ([7], {}, ""),
        ([8], {"resamples": 0}, ""),
        ([3, 2, 4], {}, " (in brackets Student's intervals over reports left out one at a time)"),
    ],
)
def test_captions_tell_of_the_errors_that_are_shown_and_of_no_others(
    sizes: list[int], options: dict[str, int], told: str
) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(16, 3))
    measured = [cnfa.measure(network, torch.randn(n, 3, 4, 4), **options) for n in sizes]
    page = html.unescape(cnfa_page(measured[0] if len(measured) == 1 else cnfa.merge(measured), "errors").render())
    assert f"Pearson correlation of CNFM and AGOP{told}; the same with gradients rotated" in page
    bars = told.removeprefix(" (in brackets").rstrip(")")
    assert f"in forward order{f'; error bars are{bars}' if 'brackets' in told else ''}." in page
    assert page.count("so it can lie beside its value") == (2 if "brackets" in told else 0)
    assert "in the initial network" not in page


def test_the_page_names_what_was_left_out(report: cnfa.Report) -> None:
    partly = replace(report, skipped=(cnfa.Skipped("cell", "lstm", "it is recurrent"),))
    assert "cell (lstm) was left out: it is recurrent." in cnfa_page(partly, "partly").render()


def test_a_page_of_a_network_with_nothing_but_its_last_layer_says_so() -> None:
    report = cnfa.measure(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.randn(3, 1, 2, 2))
    assert "by construction" in cnfa_page(report, "linear").render()


def test_the_legend_of_all_bars_fits_in_the_picture(report: cnfa.Report) -> None:
    for estimate in (report["0"].correlations.trained.pearson, cnfa.Estimate(0.7, bias=-0.1)):
        trained = replace(report["0"].correlations.trained, pearson=estimate)
        correlations = replace(report["0"].correlations, trained=trained)
        figure = replace(report, layers=(replace(report["0"], correlations=correlations),)).plot()
        figure.draw_without_rendering()
        assert figure.axes[0].get_legend().get_window_extent().x1 <= figure.bbox.x1
        assert figure.axes[0].get_window_extent().width > 0.8 * figure.bbox.width


def test_a_layer_without_gradients_is_said_to_have_nothing_to_show() -> None:
    torch.manual_seed(0)
    dead = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(16, 3))
    nn.init.constant_(dead[0].bias, -1e6)
    page = html.unescape(cnfa_page(cnfa.measure(dead, torch.randn(3, 3, 6, 6), resamples=0), "dead").render())
    assert "Layer 0: CNFM and AGOP, each scaled to trace 1; the AGOP is zero, and has none." in page
    assert "Layer 2: CNFM and AGOP, each scaled to trace 1." in page
    assert "Without a correlation (zero filters or gradients, or patches of one entry): 0." in page
