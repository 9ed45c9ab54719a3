"""Merged reports are those of all images together."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

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
    assert (together.resampled, merged.resampled) == ("images", "reports")
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
        assert (found.correlations.rotated is None) == (expected.correlations.rotated is None)


def test_warnings_are_saved_and_those_of_all_reports_are_told(images: Tensor, tmp_path: Path) -> None:
    first, second = (cnfa.measure(network(), part, rotations=0, resamples=0) for part in images.split([5, 4]))
    replace(first, warnings=("it draws", "it depends")).save(tmp_path)
    merged = cnfa.merge([cnfa.Report.load(tmp_path), replace(second, warnings=("it depends", "it is late"))])
    assert merged.warnings == ("it draws", "it depends", "it is late")


def probed(images: Tensor, seed: int, **options: Any) -> cnfa.Report:
    generator = torch.Generator().manual_seed(seed)
    options = {"rotations": 0, "resamples": 0, **options}
    return cnfa.measure(network(), images, probes=3, keep_probes=True, generator=generator, **options)


@pytest.mark.parametrize("sizes", [[1, 2], [20, 10, 30]])  # few gradients, which are kept, and many
def test_merged_probes_are_probes_of_all_images(sizes: list[int], tmp_path: Path) -> None:
    """Value, bias and standard error are those of measuring together with the same signs."""
    images = torch.randn(sum(sizes), 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    generator = torch.Generator().manual_seed(5)
    options = {"initial": network(1), "probes": 3, "rotations": 0, "resamples": 0}
    together = cnfa.measure(network(), images.split(sizes), generator=torch.Generator().manual_seed(5), **options)
    for number, part in enumerate(images.split(sizes)):
        cnfa.measure(network(), part, generator=generator, keep_probes=True, **options).save(tmp_path / str(number))
    merged = cnfa.merge([cnfa.Report.load(tmp_path / str(n)) for n in range(len(sizes))], rotations=0)
    for found, expected in zip(merged, together, strict=True):
        for control in ("trained", "initial"):
            ours, theirs = (getattr(layer.correlations, control) for layer in (found, expected))
            for measure in ("cosine", "pearson", "cosine_half", "pearson_half"):
                estimates = [getattr(comparison, measure) for comparison in (ours, theirs)]
                if estimates[1] is not None and not expected.final:
                    fields = [(each.value, each.bias, each.standard_error) for each in estimates]
                    assert fields[0] == pytest.approx(fields[1], abs=1e-9)


def test_intervals_of_merged_reports_are_from_leaving_each_out(images: Tensor) -> None:
    parts = [probed(part, seed) for seed, part in enumerate(images.split([2, 3, 4]))]
    found = cnfa.merge(parts, rotations=0)["2"].correlations.trained
    for measure in ("cosine", "pearson"):
        plain, *left_out = (
            estimate.value + estimate.bias
            for chosen in (parts, parts[1:], [parts[0], parts[2]], parts[:2])
            for estimate in [getattr(cnfa.merge(chosen, rotations=0)["2"].correlations.trained, measure)]
        )
        weights = [9 / n for n in (2, 3, 4)]
        value = 3 * plain - sum((1 - 1 / h) * other for h, other in zip(weights, left_out, strict=True))
        pseudo_values = [h * plain - (h - 1) * other for h, other in zip(weights, left_out, strict=True)]
        error = (sum((p - value) ** 2 / (h - 1) for p, h in zip(pseudo_values, weights, strict=True)) / 3) ** 0.5
        reach = 4.302652729696142 * error  # of Student's t with two degrees of freedom
        reach += abs(getattr(found, measure).bias)  # that few probes leave
        expected = (max(-1, value - reach), min(1, value + reach))
        assert getattr(found, measure).interval == pytest.approx(expected, abs=1e-9)


def test_two_reports_have_no_interval(images: Tensor) -> None:
    parts = [cnfa.measure(network(), part) for part in images.split([4, 5])]
    assert cnfa.merge(parts)["0"].correlations.trained.cosine.interval is None


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
        ([report, cnfa.measure(network(), images, probes=2)], "same probes; report 1 has None, report 2 has 2"),
        ([cnfa.measure(network(), images, probes=2)] * 2, "report 1 has none. Measure with keep_probes=True"),
        ([probed(images, 5), probed(images, 6), probed(images, 5)], "reports 1 and 3 drew the same.*manual_seed"),
        ([cnfa.measure(network(), images, positions=2)] * 2, "reports 1 and 2 drew the same"),
    ):
        with pytest.raises(InputError, match=message):
            cnfa.merge(others)
