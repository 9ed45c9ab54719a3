"""Reports draw themselves."""

from dataclasses import replace

import numpy as np
import pytest
import torch
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
    return cnfa.measure(network, torch.randn(6, 3, 6, 6), initial=start)


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
    html = cnfa_page(report, "A <small> network", command="convrfm cnfa x y", notes=["Six images."]).render()
    assert "A &lt;small&gt; network" in html
    assert "Six images." in html
    assert "convrfm cnfa x y" in html
    for layer in report.layers:
        if not layer.final:
            assert f"{layer.correlations.trained.pearson.value:.3f}" in html
            assert f"{layer.correlations.rotated.pearson.value:.3f}" in html
    assert "Layer 5 makes the outputs" in html


def test_the_page_names_what_was_left_out(report: cnfa.Report) -> None:
    partly = replace(report, skipped=(cnfa.Skipped("cell", "lstm", "it is recurrent"),))
    assert "cell (lstm) was left out: it is recurrent." in cnfa_page(partly, "partly").render()


def test_a_page_of_a_network_with_nothing_but_its_last_layer_says_so() -> None:
    report = cnfa.measure(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.randn(3, 1, 2, 2))
    assert "by construction" in cnfa_page(report, "linear").render()
