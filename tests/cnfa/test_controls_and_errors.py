"""Controls say what they claim, and stated errors are the errors."""

import copy
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from convrfm import cnfa
from convrfm.cnfa import controls
from convrfm.cnfa.estimates import compare
from convrfm.cnfa.moments import Moments
from convrfm.cnfa.rotations import Rotations
from convrfm.errors import InputError


def random_moments(groups: int = 1, rows: int = 6, d: int = 9, white: bool = False) -> Moments:
    generator = torch.Generator().manual_seed(0)
    filters = torch.randn(groups, rows, d, generator=generator, dtype=torch.float64)
    factor = torch.randn(groups, rows, 2, generator=generator, dtype=torch.float64)
    covariance = torch.eye(rows, dtype=torch.float64).expand(groups, -1, -1) if white else factor @ factor.mT
    return Moments(filters, covariance.clone())


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 12)
    )


@pytest.fixture
def images() -> Tensor:
    return torch.randn(20, 3, 6, 6, generator=torch.Generator().manual_seed(1))


def numbers_of(layer: cnfa.LayerReport) -> list[float]:
    """Every figure of a layer: correlations with their controls, errors and intervals, and effective ranks."""
    found = [*layer.effective_ranks.values(), *torch.cat(layer.group_correlations).tolist()]
    for of in ("trained", "rotated", "initial", "change"):
        comparison = getattr(layer.correlations, of)
        for estimate in () if comparison is None else comparison.to_dict().values():
            parts = () if estimate is None else estimate.values()
            for part in parts:
                found += part if isinstance(part, list | tuple) else [math.nan if part is None else part]
    return found


@pytest.mark.parametrize("probes", [None, 3])
@pytest.mark.parametrize(
    ("dtype", "power"),
    [(torch.float32, -30), (torch.float32, -40), (torch.float32, 40), (torch.float64, -330), (torch.float64, 450)],
)
def test_no_figure_depends_on_the_scale_of_the_outputs(
    images: Tensor, dtype: torch.dtype, power: int, probes: int | None
) -> None:
    """Squares of squares of small gradients vanished in single precision, and correlations became 1."""
    trained, x = network().to(dtype), images.to(dtype)
    initial = copy.deepcopy(trained)
    for parameter in trained.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    plain, scaled = (
        cnfa.measure(trained, x, initial=initial, probes=probes, head=lambda outputs, by=by: 2.0**by * outputs)
        for by in (0, power)
    )
    assert len(plain.layers) == 3
    for mine, theirs in zip(plain.layers, scaled.layers, strict=True):
        np.testing.assert_allclose(numbers_of(theirs), numbers_of(mine), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(theirs.agop, mine.agop * 4.0**power, rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("probes", [None, 3])
def test_gradients_whose_squares_vanish_are_told_and_correlate_with_nothing(images: Tensor, probes: int | None) -> None:
    with pytest.warns(UserWarning, match="the squares of its gradients vanish"):
        report = cnfa.measure(network(), images, probes=probes, head=lambda outputs: 2.0**-60 * outputs)
    assert [warning[:10] for warning in report.warnings] == ["layer '0':", "layer '2':", "layer '5':"]
    for layer in report.layers:
        assert not layer.agop.any()
        assert math.isnan(layer.correlations.trained.pearson.value)


@pytest.mark.parametrize("groups", [1, 3])
def test_white_gradients_correlate_perfectly_whatever_the_filters(groups: int) -> None:
    moments = random_moments(groups=groups, white=True)
    for comparison in (
        compare(moments, None),
        controls.rotated(moments, Rotations(3, torch.Generator().manual_seed(0))),
    ):
        assert comparison.cosine.value == pytest.approx(1, abs=1e-12)
        assert comparison.pearson.value == pytest.approx(1, abs=1e-12)


def test_rotation_of_a_depthwise_layer_permutes_the_gains() -> None:
    moments = random_moments(groups=3, rows=1, d=4)
    gains = moments.covariance.flatten()
    cnfm = moments.filters.mT @ moments.filters
    expected = []
    for order in torch.cartesian_prod(*[torch.arange(3)] * 3):
        if len(order.unique()) == 3:
            agop = gains[order].reshape(3, 1, 1) * cnfm
            expected.append((agop * cnfm).sum() / (agop.norm() * cnfm.norm()))
    found = controls.rotated(moments, Rotations(400, torch.Generator().manual_seed(0))).cosine
    assert found.value == pytest.approx(float(torch.stack(expected).mean()), abs=0.05)


def test_an_initial_network_of_another_shape_is_refused_where_it_is_measured() -> None:
    trained, other = (
        nn.Sequential(nn.Conv2d(1, k, 3), nn.Tanh(), nn.Conv2d(k, 2, 2), nn.Flatten(), nn.Linear(2, 3)) for k in (4, 5)
    )
    with pytest.raises(InputError, match=r"filters of 0 .* are \(1, 4, 9\) in the network and \(1, 5, 9\) in initial"):
        cnfa.measure(trained, torch.randn(3, 1, 4, 4), initial=other)
    new_head = nn.Sequential(*copy.deepcopy(list(trained)[:-1]), nn.Linear(2, 3, bias=False))
    assert cnfa.measure(trained, torch.randn(3, 1, 4, 4), initial=new_head)["0"].correlations.initial is not None


def test_initial_network_and_its_state_dict_give_the_same_controls(images: Tensor) -> None:
    trained, start = network(), network()
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    by_network = cnfa.measure(trained, images, initial=start)
    by_state = cnfa.measure(trained, images, initial=start.state_dict())
    assert by_network.to_dict() == by_state.to_dict()
    alone = cnfa.measure(start, images)
    for layer in by_network.layers:
        assert layer.correlations.initial.cosine.value == alone[layer.name].correlations.trained.cosine.value
        torch.testing.assert_close(layer.initial_cnfm, alone[layer.name].cnfm)
        a, b = layer.initial_cnfm.flatten().double(), layer.cnfm.flatten().double()
        assert layer.correlations.initial_cnfm.cosine.value == pytest.approx(
            float(a @ b / (a.norm() * b.norm())), abs=1e-6
        )


def test_the_state_dict_of_a_wrapped_network_is_that_of_the_network(images: Tensor) -> None:
    trained, start = network(), network()
    with torch.no_grad():
        for parameter in start.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    expected = cnfa.measure(trained, images, initial=start.state_dict())
    averaged = AveragedModel(start)
    for given in (
        nn.DataParallel(start).state_dict(),
        start.state_dict(prefix="_orig_mod."),
        {"epoch": 3, "model": start.state_dict()},
        averaged.state_dict(),
        averaged,
    ):
        assert cnfa.measure(trained, images, initial=given).to_dict() == expected.to_dict()
    two = {"model": start.state_dict(), "ema": averaged.state_dict()}
    with pytest.raises(InputError, match=r"initial must hold one state dict; it holds \['model'\], \['ema'\]\. Take"):
        cnfa.measure(trained, images, initial=two)


@pytest.mark.parametrize(
    "kept",
    [nn.Module.state_dict, lambda model: model, copy.copy, copy.deepcopy],
    ids=["state", "itself", "shallow", "copied too late"],
)
def test_initial_weights_that_are_the_network_s_are_told(
    kept: Callable[[nn.Module], nn.Module | Mapping[str, Tensor]], images: Tensor
) -> None:
    trained = network()
    copied = copy.deepcopy(trained.state_dict())
    with torch.no_grad():
        trained[0].weight += 1
    with pytest.warns(UserWarning, match=r"initial has the network's own weights .* copy\.deepcopy") as told:
        report = cnfa.measure(trained, images, initial=kept(trained), rotations=0, resamples=0)
    assert report.warnings == (str(told[0].message),)
    torch.testing.assert_close(report["0"].initial_filters, report["0"].filters)
    report = cnfa.measure(trained, images, initial=copied, rotations=0, resamples=0)
    assert report.warnings == ()
    torch.testing.assert_close(report["0"].initial_filters + 1, report["0"].filters)
    with pytest.warns(UserWarning, match="own weights in every layer that was measured"):
        cnfa.measure(trained, images, initial=copied, layers="2", rotations=0, resamples=0)


def test_layers_that_the_initial_network_does_not_have_are_named(images: Tensor) -> None:
    def named(*names: str) -> nn.Module:
        layers = (nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 2))
        return nn.Sequential(OrderedDict(zip(names, layers, strict=True)))

    trained = named("conv", "act", "flat", "fc")
    with pytest.raises(
        InputError, match=r"layers of the network are conv, fc, those of initial features, head\. Build"
    ):
        cnfa.measure(trained, images, initial=named("features", "act", "flat", "head"))
    with pytest.warns(UserWarning, match="initial has no layer fc: only the others") as told:
        report = cnfa.measure(trained, images, initial=named("conv", "act", "flat", "head"))
    assert report.warnings == (str(told[0].message),)
    assert report["conv"].correlations.initial is not None
    assert report["fc"].correlations.initial is None


def test_the_final_linear_layer_has_its_cnfm_as_agop_exactly_and_probed(images: Tensor) -> None:
    for probes in (None, 2):
        layer = cnfa.measure(network(), images, probes=probes)["5"]
        assert layer.final
        torch.testing.assert_close(layer.agop, layer.cnfm)


def test_probed_agop_is_unbiased_and_its_errors_are_the_stated_ones(images: Tensor) -> None:
    model = network()
    exact = cnfa.measure(model, images, rotations=0, resamples=0)
    generator = torch.Generator().manual_seed(0)
    runs = [cnfa.measure(model, images, probes=4, generator=generator, rotations=0, resamples=0) for _ in range(60)]
    for name in ("0", "2"):
        mean = torch.stack([run[name].covariance for run in runs]).mean(0)
        torch.testing.assert_close(
            mean, exact[name].covariance, rtol=0, atol=0.09 * float(exact[name].covariance.max())
        )
        for measure in ("cosine", "pearson", "cosine_half", "pearson_half"):
            truth = getattr(exact[name].correlations.trained, measure).value
            found = [getattr(run[name].correlations.trained, measure) for run in runs]
            errors = torch.tensor([estimate.value - truth for estimate in found])
            stated = torch.tensor([estimate.standard_error for estimate in found])
            plain = torch.tensor([estimate.value + estimate.bias - truth for estimate in found])
            assert errors.mean().abs() < max(0.3 * plain.mean().abs(), 3 * errors.std() / 60**0.5)
            assert 0.6 < float(stated.square().mean().sqrt() / errors.std()) < 1.6


def test_no_correction_for_few_probes_leads_beyond_one() -> None:
    """Two probes whose Gs complement each other: together they are white, which neither is."""
    filters = torch.randn(1, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    probes = torch.stack([torch.diag(torch.tensor(diagonal, dtype=torch.float64)) for diagonal in ([2, 0], [0, 2])])
    exact = Moments(filters, torch.eye(2, dtype=torch.float64)[None])
    probed = asdict(compare(replace(exact, probes=probes[:, None]), None))
    for name, plain in asdict(compare(exact, None)).items():
        assert probed[name]["value"] == 1
        assert probed[name]["value"] + probed[name]["bias"] == pytest.approx(plain["value"], abs=1e-12)
        assert probed[name]["standard_error"] > 0


def test_resampling_by_quadratic_forms_is_resampling_the_images(images: Tensor) -> None:
    """Each replicate is what measuring the resampled images gives."""
    model = network().double()
    images = images[:5].double()
    from convrfm.cnfa.batches import Batch
    from convrfm.cnfa.cutting import Cut
    from convrfm.cnfa.spread import resampled
    from convrfm.cnfa.state import as_found
    from convrfm.cnfa.sweep import Sweep
    from convrfm.cnfa.target import Target

    options = {"probes": None, "generator": torch.Generator(), "target": Target(), "memory_budget": 2**30, "cut": Cut()}
    with as_found(model):
        sweep = Sweep(model, None, n_parts=64, **options)
        sweep.add(Batch((images,)))
    weights = torch.tensor([[2.0, 0, 0, 2, 1], [1, 1, 1, 1, 1]], dtype=torch.float64)
    for name, (_, moments) in sweep.finish().items():
        parts = moments.part_sums()
        if parts is None:
            continue
        found = resampled(parts, moments.row_space, weights)
        for row, indices in enumerate(([0, 0, 3, 3, 4], [0, 1, 2, 3, 4])):
            expected = cnfa.measure(model, images[indices], rotations=0, resamples=0)[name].correlations.trained
            assert float(found.cosine[row]) == pytest.approx(expected.cosine.value, abs=1e-10)
            assert float(found.pearson[row]) == pytest.approx(expected.pearson.value, abs=1e-10)


def test_intervals_narrow_with_the_number_of_images() -> None:
    model = network()
    generator = torch.Generator().manual_seed(0)
    widths = []
    for n in (8, 128):
        low, high = cnfa.measure(model, torch.randn(n, 3, 6, 6, generator=generator))[
            "0"
        ].correlations.trained.cosine.interval
        widths.append(high - low)
    assert 0.1 < widths[1] / widths[0] < 0.6


@pytest.mark.parametrize(("n", "parts", "given"), [(1, 64, False), (7, 64, False), (8, 64, True), (20, 7, False)])
def test_bootstrap_of_fewer_than_eight_parts_gives_no_interval(n: int, parts: int, given: bool, images: Tensor) -> None:
    trained = cnfa.measure(network(), images[:n], parts=parts)["0"].correlations.trained
    assert (trained.cosine.interval is not None) == (trained.pearson.interval is not None) == given
