"""Merged reports are those of all images together."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from convrfm import cnfa
from convrfm.errors import InputError


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Conv2d(8, 8, 3, groups=2), nn.Tanh(), nn.Flatten(), nn.Linear(32, 4)
    ).double()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(9, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_merged_reports_are_the_report_of_all_images(images: Tensor) -> None:
    trained, start = network(), network(1)
    measured = [cnfa.measure(trained, part, initial=start) for part in images.split([2, 4, 3])]
    merged = cnfa.merge(measured)
    together = cnfa.measure(trained, images, initial=start)
    assert (merged.n_images, merged.n_outputs, merged.network) == (9, 4, "Sequential")
    for found, expected in zip(merged, together, strict=True):
        torch.testing.assert_close(found.covariance, expected.covariance, rtol=1e-12, atol=0)
        torch.testing.assert_close(found.initial_covariance, expected.initial_covariance, rtol=1e-12, atol=0)
        assert found.effective_ranks == pytest.approx(expected.effective_ranks)
        assert found.final == expected.final
        for control in ("trained", "initial", "initial_cnfm", "change"):
            ours, theirs = (getattr(layer.correlations, control) for layer in (found, expected))
            for measure in ("cosine", "pearson", "cosine_half", "pearson_half"):
                value = getattr(theirs, measure)
                if value is None:
                    assert getattr(ours, measure) is None
                else:
                    assert getattr(ours, measure).value == pytest.approx(value.value, abs=1e-10, nan_ok=True)
                    assert getattr(ours, measure).interval is None
        assert (found.correlations.rotated is None) == (expected.correlations.rotated is None)


def test_rotations_and_the_power_one_half_can_be_left_out(images: Tensor) -> None:
    merged = cnfa.merge([cnfa.measure(network(), part) for part in images.split(5)], rotations=0, half_power=False)
    assert merged["0"].correlations.rotated is None
    assert merged["0"].correlations.trained.cosine_half is None


def test_what_was_left_out_of_any_report_is_left_out_of_the_merged_one(images: Tensor) -> None:
    one, other = (
        replace(cnfa.measure(network(), images), skipped=(cnfa.Skipped(name, "LSTM", "it is recurrent"),))
        for name in ("a", "b")
    )
    assert [skipped.name for skipped in cnfa.merge([one, other, one]).skipped] == ["a", "b"]


def test_what_does_not_belong_together_is_refused_in_words(images: Tensor) -> None:
    report = cnfa.measure(network(), images)
    wider = nn.Sequential(*copy.deepcopy(network())[:5], nn.Linear(32, 5).double())
    for others, message in (
        ([], "at least one report"),
        ([report, cnfa.measure(network(2), images)], "layer '0' of report 2 has others.*cnfa.Tracker"),
        ([report, cnfa.measure(network(), images, initial=network(1))], "layer '0' of report 2 has others"),
        ([report, report, cnfa.measure(network(), images, layers=["0"])], "reports 1 and 3 differ in 2, 5"),
        ([report, cnfa.measure(wider, images)], "same n_outputs; report 1 has 4, report 2 has 5"),
        ([report, cnfa.measure(network(), images, probes=2)], "reports from probes cannot be merged"),
    ):
        with pytest.raises(InputError, match=message):
            cnfa.merge(others)
