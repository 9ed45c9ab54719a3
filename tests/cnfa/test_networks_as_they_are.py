"""The meter takes networks as they are, and leaves them as it found them."""

import copy
import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from convrfm import cnfa
from convrfm.errors import InputError
from convrfm.maths.similarity import similarity

from .cases import BLOCKS, Reused
from .free_patches import free_agop
from .oracle import oracle_agop

QUICK = {"rotations": 0, "resamples": 0}


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Conv2d(6, 4, 3), nn.Flatten(), nn.Linear(64, 2)
    )


@pytest.fixture
def images() -> Tensor:
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def snapshot(network: nn.Module) -> dict[str, object]:
    return {
        "state": copy.deepcopy(network.state_dict()),
        "modes": [module.training for module in network.modules()],
        "hooks": [
            (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks), len(m._backward_pre_hooks))
            for m in network.modules()
        ],
        "grads": [None if p.grad is None else p.grad.clone() for p in network.parameters()],
        "requires_grad": [p.requires_grad for p in network.parameters()],
        "identities": [id(p) for p in network.parameters()],
    }


def assert_same(before: dict[str, object], after: dict[str, object]) -> None:
    assert before.keys() == after.keys()
    for key in ("modes", "hooks", "requires_grad", "identities"):
        assert before[key] == after[key], key
    torch.testing.assert_close(before["state"], after["state"], rtol=0, atol=0)
    torch.testing.assert_close(before["grads"], after["grads"], rtol=0, atol=0)


def test_network_is_left_as_it_was_found(images: Tensor) -> None:
    network = small_network().train()
    network[3].eval()
    network[0].weight.requires_grad_(False)
    network(images).sum().backward()
    before, random_state = snapshot(network), torch.get_rng_state()
    cnfa.measure(network, images, probes=2)
    assert_same(before, snapshot(network))
    assert torch.equal(random_state, torch.get_rng_state())


@pytest.mark.parametrize("where", [0, 2, 5])
def test_network_is_left_as_it_was_found_after_an_error(images: Tensor, where: int) -> None:
    network = small_network().train()
    broken = network[where]

    def fail(*_: object) -> None:
        raise KeyError("on purpose")

    handle = broken.register_forward_hook(fail)
    before = snapshot(network)
    with pytest.raises(InputError, match="raised KeyError: 'on purpose'"):
        cnfa.measure(network, images)
    assert_same(before, snapshot(network))
    handle.remove()


class Frozen(dict):
    """A configuration, as other libraries have them."""

    def update(self, *_: object, **__: object) -> None:
        raise TypeError("it cannot be changed")

    clear = update


class Remembering(nn.Linear):
    """Keeps what it has seen in containers of all kinds."""

    def __init__(self) -> None:
        super().__init__(3, 2)
        self.config = Frozen(width=3)
        self.counts, self.by_kind = Counter(calls=2), defaultdict(list, seen=["a"])
        self.recent, self.nested = deque([1, 2], maxlen=2), {"steps": ([1], {"last": {1}})}

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        self.counts["calls"] += 1
        self.by_kind["seen"].append(y)
        self.by_kind["new"].append(y)
        self.recent.append(y)
        self.nested["steps"][0].append(y)
        self.nested["steps"][1]["last"].add(2)
        self.nested["steps"][1]["first"] = {1}
        return y

    @property
    def kept(self) -> tuple[object, ...]:
        return self.config, self.counts, self.by_kind, self.recent, self.nested


def test_containers_of_all_kinds_hold_what_they_held() -> None:
    network = Remembering()
    before, identities = copy.deepcopy(network.kept), [id(each) for each in network.kept]
    cnfa.measure(nn.Sequential(network, nn.Tanh()), torch.randn(4, 3), **QUICK)
    assert network.kept == before
    assert [id(each) for each in network.kept] == identities
    assert network.by_kind.default_factory is list


def test_frozen_parameters_measure_the_same(images: Tensor) -> None:
    network = small_network().eval()
    expected = cnfa.measure(network, images, **QUICK)
    frozen = cnfa.measure(network.requires_grad_(False), images, **QUICK)
    for layer in expected.layers:
        torch.testing.assert_close(frozen[layer.name].agop, layer.agop)


def test_measuring_under_no_grad_and_inference_mode_works(images: Tensor) -> None:
    network = small_network()
    expected = cnfa.patch_agop(network, images, layer="0")
    with torch.no_grad():
        torch.testing.assert_close(cnfa.patch_agop(network, images, layer="0"), expected)
    with torch.inference_mode():
        torch.testing.assert_close(cnfa.patch_agop(network, images, layer="0"), expected)


def test_evaluation_mode_is_what_is_measured(images: Tensor) -> None:
    network = nn.Sequential(small_network()[:4], nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 2)).train()
    network(images)
    first, second = (cnfa.patch_agop(network, images, layer="0.0") for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(cnfa.patch_agop(network.eval(), images, layer="0.0"), first)


@pytest.mark.parametrize(
    "wrap",
    [nn.DataParallel, lambda m: torch.compile(m, backend="eager"), AveragedModel],
    ids=["data parallel", "compiled", "averaged"],
)
def test_wrappers_are_looked_through(images: Tensor, wrap: Callable[[nn.Module], nn.Module]) -> None:
    network = small_network()
    expected = cnfa.measure(network, images, **QUICK)
    wrapped = cnfa.measure(wrap(network), images, **QUICK)
    assert [layer.name for layer in wrapped.layers] == [layer.name for layer in expected.layers] == ["0", "3", "5"]
    for layer in expected.layers:
        torch.testing.assert_close(wrapped[layer.name].agop, layer.agop)


def test_a_compiled_part_that_has_already_run_is_measured(images: Tensor) -> None:
    network = small_network().eval()
    expected = cnfa.measure(network, images, **QUICK)
    network[0] = torch.compile(network[0], backend="eager")  # type: ignore[assignment]
    network.compile(backend="eager")
    network(images)
    measured = cnfa.measure(network, images, **QUICK)
    for layer in expected.layers:
        torch.testing.assert_close(measured[layer.name].agop, layer.agop)


def test_channels_last_measures_the_same(images: Tensor) -> None:
    network = small_network().eval()
    expected = cnfa.patch_agop(network, images, layer="3")
    last = network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(cnfa.patch_agop(last, images.to(memory_format=torch.channels_last), layer="3"), expected)


def test_bfloat16_is_measured_to_its_precision(images: Tensor) -> None:
    network = small_network().eval()
    expected = cnfa.measure(network, images, **QUICK)["3"]
    half = cnfa.measure(network.to(torch.bfloat16), images, **QUICK)["3"]
    assert half.covariance.dtype == torch.float32
    torch.testing.assert_close(
        half.covariance, expected.covariance, rtol=0.05, atol=0.02 * float(expected.covariance.max())
    )


def test_autocast_of_the_caller_holds(images: Tensor) -> None:
    network = small_network().eval()
    expected = cnfa.measure(network, images, **QUICK)["3"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = cnfa.measure(network, images, **QUICK)["3"]
    assert not torch.equal(cast.covariance, expected.covariance)
    torch.testing.assert_close(
        cast.covariance, expected.covariance, rtol=0.05, atol=0.02 * float(expected.covariance.max())
    )


def test_initial_weights_are_those_that_are_measured_under_autocast(images: Tensor) -> None:
    """Autocast keeps its half-precision copy of every parameter for as long as the caller is within it."""
    start, trained = (nn.Sequential(nn.Conv2d(3, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(216, 2)) for _ in "ab")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = cnfa.measure(start, images, **QUICK)["0"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        beside = cnfa.measure(trained, images, initial=start.state_dict(), **QUICK)["0"]
        after = trained(images)
    torch.testing.assert_close(beside.initial_covariance, expected.covariance)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(after, trained(images))


class SqueezeAndExcite(nn.Module):
    """Drops the axis of images where there is one image."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.gate, self.last = nn.Conv2d(3, 4, 3), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.body(x))
        gate = torch.sigmoid(self.gate(x.mean((2, 3)).squeeze()))
        return self.last((x * gate.reshape(-1, 4, 1, 1)).mean((2, 3)))


def test_an_axis_of_images_that_one_image_does_not_have_changes_nothing(images: Tensor) -> None:
    torch.manual_seed(0)
    network = SqueezeAndExcite().double().eval()
    report = cnfa.measure(network, images.double(), **QUICK)
    torch.testing.assert_close(report["body"].agop, oracle_agop(network, images.double(), network.body))
    alone = [cnfa.patch_agop(network, image[None].double(), "gate") for image in images]
    torch.testing.assert_close(report["gate"].agop, torch.stack(alone).mean(0))


def test_what_follows_the_passes_is_not_rounded_by_autocast(images: Tensor) -> None:
    network = small_network().eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        report = cnfa.measure(network, images, rotations=2, resamples=0)
        agop, merged = cnfa.patch_agop(network, images, "3"), cnfa.merge([report], rotations=2)
        maps = cnfa.feature_maps(network, images, report["0"])
        formed = report["3"].cnfm, report["3"].agop
    layer = report["3"]
    torch.testing.assert_close(formed, (layer.cnfm, layer.agop), rtol=0, atol=0)
    torch.testing.assert_close(agop, layer.agop)
    for found in (layer, merged["3"]):
        expected = similarity(layer.cnfm, layer.agop)
        assert found.correlations.trained.pearson.value == pytest.approx(float(expected.pearson), abs=1e-5)
    assert merged["3"].correlations == cnfa.merge([report], rotations=2)["3"].correlations
    torch.testing.assert_close(maps, cnfa.feature_maps(network, images, report["0"]))


def test_small_gradients_of_half_precision_do_not_vanish_when_they_are_multiplied(images: Tensor) -> None:
    network = small_network().eval()
    with torch.no_grad():
        network[-1].weight.mul_(1e-3)
    expected, half = cnfa.measure(network, images, **QUICK)["3"], copy.deepcopy(network).half()
    found = cnfa.measure(half, images, **QUICK)["3"]
    assert expected.agop.max() < torch.finfo(torch.float16).smallest_normal
    for agop in (found.agop, cnfa.patch_agop(half, images, "3")):
        torch.testing.assert_close(agop, expected.agop, rtol=0.05, atol=0.02 * float(expected.agop.max()))
    maps, plain = cnfa.feature_maps(half, images, found), cnfa.feature_maps(network, images, expected)
    torch.testing.assert_close(maps, plain, rtol=0.05, atol=0.02 * float(plain.max()))


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
@pytest.mark.parametrize("size", [1e-5, 1.0, 1e5])
@pytest.mark.parametrize("probes", [None, 2])
def test_gradients_outside_of_half_precision_are_measured(size: float, probes: int | None, images: Tensor) -> None:
    """Those behind a mean over many positions are too small for it; others are too large, if they are scaled like them."""

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.second(torch.tanh(self.first(x))).mean((2, 3)) * size)

    torch.manual_seed(0)
    network, large = Pooled().eval(), nn.functional.interpolate(images, scale_factor=4)
    expected = cnfa.measure(network, large, probes=probes, **QUICK)
    found = cnfa.measure(copy.deepcopy(network).half(), large, probes=probes, **QUICK)
    with torch.autocast("cpu", dtype=torch.float16):
        cast = cnfa.measure(network, large, probes=probes, **QUICK)
    for name in ("first", "second"):
        for half in (found[name].covariance, cast[name].covariance):
            torch.testing.assert_close(
                half, expected[name].covariance, rtol=0.02, atol=0.01 * float(expected[name].covariance.max())
            )


def test_lazy_modules_are_materialised_and_measured(images: Tensor) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    report = cnfa.measure(network, images, **QUICK)
    assert [layer.kind for layer in report.layers] == ["Conv2d", "Linear"]
    torch.testing.assert_close(report["0"].agop, oracle_agop(network.eval(), images, network[0]), rtol=1e-4, atol=1e-6)


def test_shapes_may_change_between_batches() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)
    ).double()
    generator = torch.Generator().manual_seed(0)
    loader = [
        torch.randn(2, 1, 6, 6, generator=generator).double(),
        torch.randn(3, 1, 9, 7, generator=generator).double(),
    ]
    expected = sum(len(batch) * oracle_agop(network, batch, network[0]) for batch in loader) / 5
    torch.testing.assert_close(cnfa.patch_agop(network, loader, layer="0"), expected)


def test_data_loaders_with_labels_stream() -> None:
    data = torch.utils.data.TensorDataset(torch.randn(6, 3, 8, 8), torch.arange(6))
    loader = torch.utils.data.DataLoader(data, batch_size=4)
    network = small_network()
    torch.testing.assert_close(
        cnfa.patch_agop(network, loader, layer="0"), cnfa.patch_agop(network, data.tensors[0].numpy(), layer="0")
    )


class Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3)
        self.box = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = torch.tanh(self.body(x))
        return {"boxes": self.box(features), "features": features}


def test_a_head_makes_outputs_of_any_network(images: Tensor) -> None:
    network = Detector()

    def head(output: dict[str, Tensor]) -> Tensor:
        return output["boxes"].amax((2, 3))

    measured = cnfa.patch_agop(network, images, layer="body", head=head)
    expected = oracle_agop(network, images, network.body, head)
    torch.testing.assert_close(measured, expected)


def test_a_layer_that_does_not_reach_the_outputs_is_left_out(images: Tensor) -> None:
    network = Detector()
    report = cnfa.measure(network, images, head=lambda out: out["features"].mean((2, 3)))
    assert [layer.name for layer in report.layers] == ["body"]
    assert [(skipped.name, skipped.reason[:22]) for skipped in report.skipped] == [("box", "no gradient reaches it")]


def test_uses_of_a_layer_are_counted() -> None:
    network = Reused()
    assert cnfa.measure(network, torch.randn(2, 3, 6, 6), **QUICK)["conv"].uses == 3


class NotVectorised(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        return 3 * x

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        return torch.from_numpy(3 * gradient.detach().numpy())


class WithCustomFunction(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return NotVectorised.apply(torch.tanh(self.conv(x))).mean((2, 3))


def test_operations_that_cannot_be_vectorised_are_looped_over(images: Tensor) -> None:
    network = WithCustomFunction()
    expected = 9 * cnfa.patch_agop(nn.Sequential(network.conv, nn.Tanh()), images, "0", head=lambda z: z.mean((2, 3)))
    torch.testing.assert_close(cnfa.patch_agop(network, images, layer="conv"), expected)


def test_exact_takes_no_more_backward_passes_than_the_last_layer_has_inputs(images: Tensor) -> None:
    passes = []

    class Counted(torch.autograd.Function):
        generate_vmap_rule = False

        @staticmethod
        def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
            passes.append(gradient.numpy().shape)
            return gradient

    class Counting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return Counted.apply(x)

    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), Counting(), nn.Linear(5, 40))
    cnfa.measure(network, images, **QUICK)
    assert len([shape for shape in passes if shape[0] == len(images)]) == 5


def test_hooks_on_the_outputs_change_what_is_below_them() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 7))

    def hooked(module: nn.Module, inputs: object, outputs: Tensor) -> None:
        outputs.register_hook(lambda gradient: 2 * gradient)

    vectors = torch.randn(4, 3)
    expected = 4 * cnfa.patch_agop(network, vectors, "0")
    network[2].register_forward_hook(hooked)
    torch.testing.assert_close(cnfa.patch_agop(network, vectors, "0"), expected)


def test_same_generator_same_probes(images: Tensor) -> None:
    network = small_network()
    first, second = (
        cnfa.measure(network, images, probes=3, generator=torch.Generator().manual_seed(7)) for _ in range(2)
    )
    assert first.to_dict() == second.to_dict()


def no_convolution() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Tanh())


class Detached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).mean((2, 3)).detach()


class WithoutGrad(Detached):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self.conv(x).mean((2, 3))


class PartlyNaN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 2, 3)
        self.second = nn.Conv2d(2, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.log(self.first(x) - 1e6)).mean((2, 3))


class FailsOnTheWayBack(WithCustomFunction):
    class Failing(torch.autograd.Function):
        @staticmethod
        def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
            raise KeyError("on purpose")

    def forward(self, x: Tensor) -> Tensor:
        return self.Failing.apply(self.conv(x)).mean((2, 3))


class ChangedBeforeTheWayBack(WithCustomFunction):
    def forward(self, x: Tensor) -> Tensor:
        z = self.conv(x).exp()
        outputs = z.mean((2, 3))
        z.add_(1)
        return outputs


WRONG = [
    (FailsOnTheWayBack, {}, "its backward pass raised KeyError: 'on purpose'"),
    (ChangedBeforeTheWayBack, {}, "its backward pass raised RuntimeError: .* modified by an inplace operation"),
    (no_convolution, {}, "must contain a convolution or a linear layer"),
    (Detached, {}, "must require grad"),
    (WithoutGrad, {}, "conv .* was left out: it runs without gradients"),
    (small_network, {"layers": ["33"]}, "Near matches: 3"),
    (Detector, {"layers": ["bdy"], "head": lambda out: out["boxes"].mean((2, 3))}, "Near matches: body"),
    (PartlyNaN, {}, "layer 'second': its input holds NaN"),
    (small_network, {"probes": 0}, "probes must be a positive integer; got 0"),
    (lambda: nn.Conv2d(3, 2, 3), {}, r"must be a tensor \(n, k\).*got \(1, 2, 6, 6\)"),
    (small_network, {"initial": {"0.weight": torch.zeros(1)}}, "not a state dict of this network"),
    (small_network, {"head": lambda out: out.argmax(1, keepdim=True)}, "must require grad"),
]


@pytest.mark.parametrize(("build", "options", "message"), WRONG, ids=[message for _, _, message in WRONG])
def test_wrong_input_is_named(build: Callable[[], nn.Module], options: dict, message: str, images: Tensor) -> None:
    network = build()
    before = snapshot(network)
    with pytest.raises(InputError, match=message):
        cnfa.measure(network, images, **options)
    assert_same(before, snapshot(network))


def test_images_that_the_network_cannot_take_are_named(images: Tensor) -> None:
    with pytest.raises(InputError, match=r"does not run on images of shape \(1, 3, 5, 5\)"):
        cnfa.measure(small_network(), images[:, :, :5, :5])
    with pytest.raises(InputError, match="a batch must be a tensor"):
        cnfa.measure(small_network(), ["photo.jpg"])
    with pytest.raises(InputError, match="at least one image"):
        cnfa.measure(small_network(), [])
    for empty in (images[:0], images[:0].numpy(), [images, images[:0]]):
        with pytest.raises(InputError, match=r"at least one image a batch; got shape \(0, 3, 8, 8\)"):
            cnfa.measure(small_network(), empty)


def test_a_nan_weight_names_its_layer(images: Tensor) -> None:
    network = small_network()
    with torch.no_grad():
        network[3].weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(InputError, match="layer '3': its output holds NaN"):
        cnfa.measure(network, images)


def test_every_block_is_measured_in_one_pass() -> None:
    for case in BLOCKS:
        measured = {layer.name for layer in cnfa.measure(case.network(), case.images(), **QUICK).layers}
        assert measured >= set(case.layers)


def test_a_layer_in_a_functional_activation_is_measured_before_it(images: Tensor) -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            return functional.elu(self.conv(x), inplace=True).mean((2, 3))

    network = InPlace()
    for frozen in (False, True):
        network.requires_grad_(not frozen)
        torch.testing.assert_close(
            cnfa.patch_agop(network, images, layer="conv"), oracle_agop(network, images, network.conv)
        )


class HalfScripted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = torch.jit.script(nn.Conv2d(3, 2, 3)), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x).mean((2, 3)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_code_is_left_out_with_a_remedy_that_helps(images: Tensor) -> None:
    report = cnfa.measure(HalfScripted(), images, **QUICK)
    assert [layer.name for layer in report.layers] == ["last"]
    assert [(skipped.name, "measure the module that was scripted" in skipped.reason) for skipped in report.skipped] == [
        ("first", True)
    ]
    for compile in (torch.jit.script, lambda network: torch.jit.trace(network, images)):
        with pytest.raises(InputError, match="measure the module that was scripted"):
            cnfa.measure(compile(small_network().eval()), images)
    exported = torch.export.export(small_network().eval(), (images,)).module()
    with pytest.raises(InputError, match="measure the module that it was exported from"):
        cnfa.measure(exported, images)


def half_quantized() -> nn.Module:
    quantized = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 4)).eval(), {nn.Linear})
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), quantized, nn.Linear(4, 2)).eval()


def statically_quantized() -> nn.Module:
    stubs = torch.ao.quantization.QuantStub(), torch.ao.quantization.DeQuantStub()
    network = nn.Sequential(stubs[0], nn.Conv2d(3, 4, 8), stubs[1], nn.Flatten()).eval()
    network.qconfig = torch.ao.quantization.get_default_qconfig("fbgemm")
    torch.ao.quantization.prepare(network, inplace=True)(torch.randn(2, 3, 8, 8))
    return torch.ao.quantization.convert(network)


@pytest.mark.filterwarnings("ignore")
def test_quantized_layers_are_left_out_with_a_remedy_that_helps(images: Tensor) -> None:
    report = cnfa.measure(half_quantized(), images, **QUICK)
    assert [layer.name for layer in report.layers] == ["4"]
    assert {skipped.name: skipped.reason[:15] for skipped in report.skipped} == {
        "0": "no gradient rea",
        "3.0": "it is quantized",
    }
    with pytest.raises(InputError, match=r"1 \(conv2d\) was left out: it is quantized: measure the network"):
        cnfa.measure(statically_quantized(), images)


def test_functions_and_methods_that_were_compiled_are_measured(images: Tensor) -> None:
    class Compiled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)
            self.part = torch.compile(self.run, backend="eager")

        def run(self, x: Tensor) -> Tensor:
            return torch.tanh(self.conv(x)).mean((2, 3))

        def forward(self, x: Tensor) -> Tensor:
            return self.part(x)

    network = Compiled()
    network(images)
    expected = cnfa.patch_agop(nn.Sequential(network.conv, nn.Tanh()), images, "0", head=lambda z: z.mean((2, 3)))
    torch.testing.assert_close(cnfa.patch_agop(network, images, "conv"), expected)


class RandomDepth(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.tanh(self.a(x)) if torch.rand(()) < 0.5 else x)


@pytest.mark.parametrize("seed", range(4))
def test_a_network_that_draws_in_evaluation_mode_is_named(seed: int) -> None:
    torch.manual_seed(seed)
    with pytest.warns(UserWarning, match="draws random numbers in evaluation mode"):
        found = cnfa.measure(RandomDepth(), torch.randn(3, 3), rotations=0, resamples=0)
    assert found.warnings[0].startswith("the network draws random numbers in evaluation mode")


class SeesAnotherImage(nn.Module):
    """One image of a batch of three or more sees another; each alone, and two, do not."""

    def __init__(self, sees: int, seen: int) -> None:
        super().__init__()
        self.sees, self.seen, self.body, self.last = sees, seen, nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        features = torch.tanh(self.body(x)).mean((2, 3))
        if len(x) > 2:
            others = torch.zeros_like(features)
            others[self.sees] = features[self.seen]
            features = features + others
        return torch.sin(self.last(features))


@pytest.mark.parametrize(("sees", "seen"), [(-1, 0), (2, 1), (1, 2), (0, -1)])
def test_one_image_that_sees_another_is_noticed_wherever_they_are(sees: int, seen: int, images: Tensor) -> None:
    torch.manual_seed(0)
    network, images = SeesAnotherImage(sees, seen).double(), images.double()
    with pytest.warns(UserWarning, match="the images are not independent of each other"):
        report = cnfa.measure(network, images, **QUICK)
    assert report.resampled == "batches"
    torch.testing.assert_close(report["body"].agop, free_agop(network, images, [0]))


class Experts(nn.Module):
    """Every image goes to one of two."""

    def __init__(self) -> None:
        super().__init__()
        self.above, self.below, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        chosen = x.mean((1, 2, 3)) > 0
        pooled = x.new_zeros(len(x), 4)
        pooled[chosen] = torch.tanh(self.above(x[chosen])).mean((2, 3))
        pooled[~chosen] = torch.tanh(self.below(x[~chosen])).mean((2, 3))
        return torch.tanh(self.last(pooled))


@pytest.mark.parametrize(
    "options", [{}, {"probes": 2, "keep_probes": True}, {"positions": 4}], ids=["all", "probes", "few"]
)
def test_an_expert_that_no_image_reaches_has_an_agop_of_zero_and_is_warned_of(options: dict, images: Tensor) -> None:
    torch.manual_seed(0)
    network, start = Experts(), Experts().state_dict()
    with pytest.warns(UserWarning, match="layer 'below': it ran, and never on any image"):
        report = cnfa.measure(network, images + 10, initial=start, rotations=2, resamples=4, **options)
    assert not report["below"].agop.any()
    assert math.isnan(report["below"].correlations.trained.pearson.value)
    assert report["above"].agop.any()
    assert [warning[:14] for warning in report.warnings] == ["layer 'below':"]


class Squeezed(nn.Module):
    """Drops the axis of images of a batch of one, before its last layer or after it."""

    def __init__(self, last: nn.Module) -> None:
        super().__init__()
        self.body, self.last = nn.Conv2d(3, 4, 3), last

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.body(x)).mean((2, 3), keepdim=True).squeeze())


@pytest.mark.parametrize("last", [nn.Identity(), nn.Linear(4, 6)], ids=["at the end", "before a layer"])
@pytest.mark.parametrize("of_own_class", [False, True])
def test_a_network_that_drops_the_axis_of_one_image_is_measured_as_images_apart(
    last: nn.Module, of_own_class: bool, images: Tensor
) -> None:
    torch.manual_seed(0)
    network, images, labels = Squeezed(last).double().eval(), images.double(), torch.arange(4)

    def own(outputs: Tensor, labels: Tensor = labels) -> Tensor:
        return outputs.gather(1, labels[:, None]) if of_own_class else outputs

    for sizes in ([4], [1, 3], [1, 1, 1, 1]):
        pairs = list(zip(images.split(sizes), labels.split(sizes), strict=True))
        report = cnfa.measure(network, pairs, loss=own if of_own_class else None, **QUICK)
        assert not report.warnings
        torch.testing.assert_close(report["body"].agop, oracle_agop(network, images, network.body, own))
        assert of_own_class or isinstance(last, nn.Identity) or report["last"].final


def test_one_number_for_each_image_is_still_refused(images: Tensor) -> None:
    for some in (images, images[:1]):
        with pytest.raises(InputError, match=r"must be a tensor \(n, k\)"):
            cnfa.measure(nn.Sequential(nn.Conv2d(3, 1, 8), nn.Flatten(0)), some, **QUICK)


class OfTwoSmallWeights(nn.Module):
    """One module that makes two weights on the way, of any scale; their products are brought to one."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.a, self.b = (nn.Parameter(torch.randn(4, 3, 3, 3)) for _ in range(2))
        self.last, self.scale = nn.Linear(4, 3), scale

    def forward(self, x: Tensor) -> Tensor:
        first, second = (functional.conv2d(x, weight * self.scale) / self.scale for weight in (self.a, self.b))
        return self.last((first * second.sigmoid()).mean((2, 3)))


def test_small_weights_of_one_module_are_told_apart(images: Tensor) -> None:
    found = []
    for scale in (1.0, 2.0**-30):
        torch.manual_seed(0)
        report = cnfa.measure(OfTwoSmallWeights(scale), images, **QUICK)
        found.append([(layer.name, layer.uses, layer.correlations.trained.pearson.value) for layer in report.layers])
    assert [name for name, _, _ in found[0]] == ["conv2d()", "conv2d():2", "last"]
    assert [each[:2] for each in found[1]] == [each[:2] for each in found[0]]
    assert [value for *_, value in found[1]] == pytest.approx([value for *_, value in found[0]], rel=1e-4)
