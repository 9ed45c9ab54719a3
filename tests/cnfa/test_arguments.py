"""What is differentiated, what a batch is, how a layer is cut into blocks: each against a plain route to the same."""

import html
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from convrfm import cnfa
from convrfm.cnfa import measuring
from convrfm.errors import InputError

QUICK = {"rotations": 0, "resamples": 0}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(16, 3)).double().eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(5, 2, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def labels() -> Tensor:
    return torch.tensor([2, 0, 1, 1, 0])


@pytest.mark.parametrize("name", ["images", "labels"])
def test_a_mask_is_never_lost(name: str, images: Tensor, labels: Tensor) -> None:
    given = {"images": images.numpy(), "labels": labels.numpy()}
    given[name] = np.ma.masked_greater(given[name], 0)
    with pytest.raises(InputError, match=f"{name} must not be masked"):
        cnfa.measure(network(), given["images"], labels=given["labels"], **QUICK)


def cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(outputs, labels, reduction="none")


def agop_of(head: Callable[[Tensor, int], Tensor], images: Tensor) -> Tensor:
    """The mean over images of the AGOP of each image's own function of the outputs."""
    agops = [
        cnfa.patch_agop(network(), images[i : i + 1], "0", head=lambda out, i=i: head(out, i))
        for i in range(len(images))
    ]
    return torch.stack(agops).mean(0)


def test_a_loss_is_differentiated_image_by_image(images: Tensor, labels: Tensor) -> None:
    expected = agop_of(lambda out, i: cross_entropy(out, labels[i].expand(len(out)))[:, None], images)
    for given, extra in ((images, {"labels": labels}), ([(images[:2], labels[:2]), (images[2:], labels[2:])], {})):
        for budget in (1, 2**30):
            measured = cnfa.patch_agop(network(), given, "0", loss=cross_entropy, memory_budget=budget, **extra)
            torch.testing.assert_close(measured, expected)


def test_labels_alone_differentiate_the_output_of_each_images_class(images: Tensor, labels: Tensor) -> None:
    expected = agop_of(lambda out, i: out[:, labels[i], None], images)
    torch.testing.assert_close(cnfa.patch_agop(network(), images, "0", labels=labels.numpy()), expected)
    of_one = cnfa.patch_agop(network(), images, "0", head=lambda out: out[:, 1:2])
    torch.testing.assert_close(cnfa.patch_agop(network(), images, "0", labels=1), of_one)


def test_classes_add_up_to_all_outputs(images: Tensor) -> None:
    report = cnfa.measure(network(), images, **QUICK)
    of_classes = [cnfa.measure(network(), images, labels=label, **QUICK)["0"].agop for label in range(3)]
    torch.testing.assert_close(sum(of_classes), report["0"].agop)


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = network()

    def forward(self, pixels: Tensor, scale: Tensor, gain: Tensor) -> Tensor:
        return self.body(pixels * scale.view(-1, 1, 1, 1)) * gain


class Arguments(NamedTuple):
    pixels: Tensor | np.ndarray
    scale: Tensor
    gain: Tensor


def test_a_batch_may_be_anything_that_gives_arguments(images: Tensor) -> None:
    scale, gain = torch.rand(5, dtype=torch.float64), torch.tensor([[1.0, 2, 3]], dtype=torch.float64)
    scaled = cnfa.patch_agop(network(), images * scale.view(-1, 1, 1, 1), "0", head=lambda out: out * gain)
    items = [{"x": images[:3].numpy(), "s": scale[:3]}, {"x": images[3:].numpy(), "s": scale[3:]}]
    for budget in (1, 2**30):
        options = {"memory_budget": budget}
        by_name = cnfa.patch_agop(
            TwoInputs(), items, "body.0", batch=lambda b: {"pixels": b["x"], "scale": b["s"], "gain": gain}, **options
        )
        torch.testing.assert_close(by_name, scaled)
        for kind in (lambda *values: values, Arguments):
            by_place = cnfa.patch_agop(
                TwoInputs(), items, "body.0", batch=lambda b, kind=kind: kind(b["x"], b["s"], gain), **options
            )
            torch.testing.assert_close(by_place, scaled)


def test_blocks_are_the_layer_cut_along_its_rows(images: Tensor) -> None:
    report = cnfa.measure(network(), images, blocks={"0": 2}, **QUICK)["0"]
    plain = cnfa.measure(network(), images, **QUICK)["0"]
    assert report.agop.shape == (2, 18, 18)
    for block, rows in enumerate((slice(0, 2), slice(2, 4))):
        w, g = plain.filters[0, rows], plain.covariance[0, rows, rows]
        torch.testing.assert_close(report.agop[block], w.T @ g @ w)
    with pytest.raises(InputError, match="4 rows of 0 are not 3 blocks"):
        cnfa.measure(network(), images, blocks={"*": 3}, **QUICK)


def test_whole_reports_are_of_one_block(images: Tensor) -> None:
    grouped = nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.Tanh(), nn.Flatten(), nn.Linear(16, 3)).double()
    layer = cnfa.measure(grouped, images, whole=True)["0"]
    torch.testing.assert_close(layer.agop, cnfa.patch_agop(grouped, images, "0", whole=True))
    assert layer.groups == 1


def test_one_name_is_that_layer_alone(images: Tensor) -> None:
    many = nn.Sequential(*(nn.Conv2d(2, 2, 1) for _ in range(12)), nn.Flatten(), nn.Linear(32, 2)).double()
    assert [layer.name for layer in cnfa.measure(many, images, layers="11", **QUICK).layers] == ["11"]


def test_a_pattern_is_of_all_layers_that_it_fits(images: Tensor) -> None:
    many = nn.Sequential(*(nn.Conv2d(2, 2, 1) for _ in range(12)), nn.Flatten(), nn.Linear(32, 2)).double()
    layers = cnfa.measure(many, images, layers=["1*", "3"], **QUICK).layers
    assert {layer.name for layer in layers} == {"1", "3", "10", "11", "13"}
    with pytest.raises(InputError, match=r"is named 'layer\*'. Near matches: 0"):
        cnfa.measure(many, images, layers="layer*", **QUICK)
    with pytest.raises(InputError, match=r"12\* did not run .*Names that did: 2"):
        cnfa.measure(many, images, layers="12*", **QUICK)
    with pytest.raises(InputError, match=r"name of one layer; got the pattern '1\*'"):
        cnfa.patch_agop(many, images, "1*")


def test_a_shared_module_has_all_its_names(images: Tensor) -> None:
    shared = network()
    shared.again = shared[0]
    shared.forward = lambda x: shared[3](shared[2](torch.tanh(shared[0](x))))  # type: ignore[method-assign]
    for name in ("0", "again"):
        assert [layer.name for layer in cnfa.measure(shared, images, layers=[name], **QUICK).layers] == [name]
    assert [layer.name for layer in cnfa.measure(shared, images, layers="ag*", **QUICK).layers] == ["0"]


def test_a_layer_that_cannot_be_measured_says_why(images: Tensor) -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.last = nn.Conv2d(2, 2, 1), nn.Linear(32, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.body(x).flatten(1).detach())

    for layers in ("body", "b*"):
        with pytest.raises(InputError, match=r"was not measured: .*no gradient reaches it"):
            cnfa.measure(Frozen(), images, layers=layers, **QUICK)


def test_arrays_of_any_order_and_images_of_inference_mode_are_taken(images: Tensor) -> None:
    expected = cnfa.patch_agop(network(), images, "0")
    with torch.inference_mode():
        made_there = images.clone()
    read_only = images.numpy().copy()
    read_only.flags.writeable = False
    for given in (images.numpy().astype(">f8"), read_only, made_there, np.asfortranarray(images.numpy())):
        torch.testing.assert_close(cnfa.patch_agop(network(), given, "0"), expected)


def test_reports_do_not_follow_the_network_that_trains_on(images: Tensor) -> None:
    model = network()
    report = cnfa.measure(model, images, **QUICK)
    before = {layer.name: layer.agop for layer in report.layers}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    for layer in report.layers:
        torch.testing.assert_close(layer.agop, before[layer.name], rtol=0, atol=0)


def test_initial_weights_need_no_copy_of_the_network(images: Tensor) -> None:
    """A network that holds what cannot be copied: here a tensor of a graph."""
    model, start = network(), network().state_dict()
    with torch.no_grad():
        model[0].weight.add_(0.1)
    expected = cnfa.measure(model, images, initial=start, **QUICK)["0"].initial_cnfm
    model.kept = model[0].weight.exp()
    layer = cnfa.measure(model, images, initial=start, **QUICK)["0"]
    torch.testing.assert_close(layer.initial_cnfm, expected)
    torch.testing.assert_close(layer.initial_cnfm, start["0.weight"].flatten(1).T @ start["0.weight"].flatten(1))


def test_dependent_images_are_told(images: Tensor) -> None:
    dependent = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, track_running_stats=False), nn.Flatten(), nn.Tanh())
    with pytest.warns(UserWarning, match="the images are not independent"):
        found = cnfa.measure(dependent.double(), images, **QUICK)
    (told,) = found.warnings
    assert told.startswith("the images are not independent")
    assert told in repr(found)
    assert html.escape(told) in found._repr_html_()


class DependentWhereThereAreThree(nn.Linear):
    """Alone and in pairs an image has the outputs that it has by itself."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(super().forward(x - x.mean(0) if len(x) > 2 else x))


def test_images_that_depend_on_more_than_one_other_are_told_and_measured_whole() -> None:
    model, x = DependentWhereThereAreThree(3, 2).double(), torch.randn(4, 3, dtype=torch.float64)
    with pytest.warns(UserWarning, match="the images are not independent"):
        found = cnfa.patch_agop(model, x, "linear()")
    with pytest.warns(UserWarning, match="the images are not independent"):
        assert len(cnfa.measure(model, x, **QUICK).warnings) == 1
    rows = torch.cos(nn.functional.linear(x - x.mean(0), model.weight, model.bias)).unsqueeze(2) * model.weight
    torch.testing.assert_close(found, torch.einsum("nod,noe->de", rows, rows) / 4)


def test_intervals_of_dependent_images_resample_batches(images: Tensor) -> None:
    """Copies of one batch leave nothing to resample, though the images in it differ; one batch has no interval."""
    dependent = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, track_running_stats=False), nn.Flatten(), nn.Tanh())
    with pytest.warns(UserWarning, match="intervals resample batches"):
        reports = [cnfa.measure(dependent.double(), [images] * count, rotations=0) for count in (1, 9)]
    alone, copies = (report["0"].correlations.trained for report in reports)
    assert [report.resampled for report in reports] == ["batches", "batches"]
    assert alone.cosine.interval is alone.pearson.interval is None
    for estimate in (copies.cosine, copies.pearson):
        assert estimate.interval == pytest.approx((estimate.value, estimate.value), abs=1e-12)


class Merging(nn.Linear):
    """A low-rank change that is merged into the weight in evaluation mode, as adapters do."""

    def __init__(self) -> None:
        super().__init__(3, 3)
        self.down, self.up = nn.Parameter(torch.randn(1, 3)), nn.Parameter(torch.randn(3, 1))
        self.merged = False

    def train(self, mode: bool = True) -> nn.Module:
        super().train(mode)
        if self.merged == mode:
            with torch.no_grad():
                self.weight += (-1 if mode else 1) * self.up @ self.down
            self.merged = not mode
        return self


def test_adapters_merge_and_part_again() -> None:
    model = nn.Sequential(Merging(), nn.Tanh(), nn.Linear(3, 2)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report = cnfa.measure(model, torch.randn(4, 3), **QUICK)
    torch.testing.assert_close(report["0"].filters[0], (model[0].weight + model[0].up @ model[0].down).detach())
    assert not model[0].merged
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


WRONG = [
    ({"loss": cross_entropy}, "a loss needs labels"),
    ({"labels": 3}, "labels must be the numbers of outputs, 0 to 2"),
    ({"labels": -1}, "labels must be the numbers of outputs, 0 to 2"),
    ({"labels": [0.5] * 5}, "labels must be the numbers of outputs, 0 to 2"),
    ({"labels": "cat"}, "labels must be numbers; got 'cat'"),
    ({"labels": [0, 1]}, "labels must be one for each of 5 images"),
    ({"labels": 1, "loss": functional.cross_entropy}, 'reduction="none"'),
    (
        {"labels": 1, "loss": lambda outputs, _: outputs**2},
        r"one value for each of 1 images; got \(1, 3\)\. .* the mean",
    ),
    ({"batch": lambda x: "photo"}, "a batch must be a tensor"),
    ({"blocks": {"*.qkv": 3}}, r"blocks: no layer .* is named as '\*.qkv'. Near matches: 0"),
    ({"blocks": {"3": 3}}, "blocks: no layer that was measured, but the final one, is named as '3'"),
    ({"blocks": {"0": 0}}, r"blocks\['0'\] must be a positive integer; got 0"),
    ({"blocks": {"0": 2}, "whole": True}, "give one of them"),
    ({"probes": 2.5}, "probes must be a positive integer; got 2.5"),
    ({"positions": True}, "positions must be a positive integer; got True"),
    ({"rotations": -1}, "rotations must be an integer of at least 0; got -1"),
    ({"resamples": 0.5}, "resamples must be an integer of at least 0; got 0.5"),
]


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(("options", "message"), WRONG, ids=map(str, range(len(WRONG))))
def test_wrong_arguments_are_named(options: dict, message: str, images: Tensor) -> None:
    with pytest.raises(InputError, match=message):
        cnfa.measure(network(), images, **{**QUICK, **options})


@pytest.mark.usefixtures("as_a_user")
def test_integers_of_numpy_are_integers(images: Tensor, tmp_path: Path) -> None:
    counts: dict[str, Any] = {"probes": 2, "positions": 3, "labels": 1, "rotations": 1, "resamples": 4}
    plain = cnfa.measure(network(), images, **counts, blocks={"0": 2})
    of_numpy = {name: np.int64(count) for name, count in counts.items()}
    blocks: dict[str, Any] = {"0": np.int64(2)}
    report = cnfa.measure(network(), images, **of_numpy, blocks=blocks)
    assert report.to_dict() == plain.to_dict()
    report.save(tmp_path)


def test_a_network_without_parameters_is_refused_in_words(images: Tensor) -> None:
    with pytest.raises(InputError, match="must contain a convolution or a linear layer"):
        cnfa.measure(nn.Flatten(), images)


def test_both_doors_refuse_a_device_that_is_not_there(images: Tensor) -> None:
    with pytest.raises(InputError, match="device must be"):
        cnfa.measure(network(), images, device="abacus")
    with pytest.raises(InputError, match="device must be"):
        cnfa.patch_agop(network(), images, "0", device="abacus")


def test_what_both_doors_take_has_one_form() -> None:
    of_report, of_layer = (inspect.signature(door).parameters for door in (cnfa.measure, cnfa.patch_agop))
    for name in of_layer.keys() - {"layer"}:
        assert of_layer[name].kind == of_report[name].kind, name
        assert of_layer[name].default == of_report[name].default, name
    assert of_report["probes"].kind is inspect.Parameter.KEYWORD_ONLY
    assert "device" in of_layer


@pytest.mark.parametrize(
    ("wrapped", "outputs"),
    [
        (lambda y: y[:, 0], 1),
        (lambda y: y[:, :, None, None].expand(-1, -1, 2, 2), 3),
        (lambda y: y[:, :, None].expand(-1, -1, 4), 3),
        (lambda y: {"logits": y, "others": None}, 3),
        (lambda y: (y, None), 3),
        (lambda y: [{"out": y[:, :, None, None]}], 3),
    ],
)
def test_the_head_that_an_error_proposes_gives_the_outputs(
    images: Tensor, wrapped: Callable[[Tensor], object], outputs: int
) -> None:
    class Wrapped(nn.Sequential):
        def forward(self, x: Tensor) -> object:
            return wrapped(super().forward(x))

    wrapping = Wrapped(*network()).double()
    with pytest.raises(InputError, match="must be a tensor") as refused:
        cnfa.measure(wrapping, images, **QUICK)
    head = eval(str(refused.value).partition("such as head=")[2].rstrip("."))
    found = cnfa.measure(wrapping, images, head=head, **QUICK)["0"].agop
    plain = cnfa.measure(network(), images, head=lambda y: y[:, :outputs], **QUICK)["0"].agop
    torch.testing.assert_close(found, plain)


@pytest.mark.parametrize(("n_batches", "told"), [(2, None), (5, "about 2 min left"), (7, "about 3 min 20 s left")])
def test_how_long_the_other_batches_take_is_told_after_the_second(
    n_batches: int, told: str | None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """By its own time alone: the first has what comes once."""
    now = [0.0]
    plain = measuring.Sweep.add

    def add(sweep: measuring.Sweep, batch: Any) -> None:
        now[0] += 40.0 if sweep.n_images else 300.0
        plain(sweep, batch)

    monkeypatch.setattr(measuring.Sweep, "add", add)
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: now[0])
    batches = torch.randn(14, 2, 4, 4).double().tensor_split(n_batches)
    cnfa.measure(network(), batches, **QUICK)
    cnfa.measure(network(), iter(batches), progress=True, **QUICK)  # of which nobody knows how many there are
    assert "left" not in capfd.readouterr().err
    cnfa.measure(network(), batches, progress=True, **QUICK)
    said = capfd.readouterr().err
    assert ("left" in said) == (told is not None)
    assert told is None or f"after 2 of {n_batches} batches: {told} (estimated)" in said
