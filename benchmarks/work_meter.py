"""One case of what the meter costs, in a process of its own with one thread: its findings and peak memory as a line of JSON.

`training step` is a forward and backward pass of ResNet-20. `unfolded` is the procedure that the meter replaces: unfold the
patches of one layer, rebuild the network as a function of them, and take `vmap(jacrev)` over images, one layer at a time.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.process import peak_bytes
from convrfm import cnfa
from convrfm.cnfa import planning
from convrfm.networks import load_weights, resnet20

UNFOLDED_OUTPUTS = 50
"""How many of ResNet-18's 1000 outputs the unfolded procedure is timed for; one layer is timed for all."""


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def four_layers() -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for channels in (3, 64, 64, 64):
        layers += [nn.Conv2d(channels, 64, 3, bias=False), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 24 * 24, 10)).eval()


def resnet18() -> nn.Module:
    import torchvision

    torch.manual_seed(0)
    network = torchvision.models.resnet18().eval()
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return network


def seconds_of(run: Callable[[], object], repeats: int = 1) -> float:
    """Median processor time: with one thread that is the wall clock of a machine that nobody shares."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return sorted(times)[len(times) // 2]


def unfolded_agop(network: nn.Module, layer: nn.Conv2d, x: Tensor, n_outputs: int | None = None) -> Tensor:
    """One layer by `vmap(jacrev)` over unfolded patches, one image at a time as its memory asks for."""
    seen: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    grid = []
    shape = layer.register_forward_hook(lambda _, __, z: grid.append(z.shape[2:]))
    with torch.no_grad():
        network(x)
    handle.remove()
    shape.remove()
    assert not isinstance(layer.padding, str)
    patches = functional.unfold(seen[0], layer.kernel_size, layer.dilation, layer.padding, layer.stride).mT
    filters = layer.weight.detach().flatten(1)

    def of_patches(free: Tensor, image: Tensor) -> Tensor:
        z = (free @ filters.T).T.unflatten(1, grid[0]).unsqueeze(0)
        replaced = layer.register_forward_hook(lambda *_: z)
        try:
            return network(image.unsqueeze(0))[0, :n_outputs]
        finally:
            replaced.remove()

    def of_image(free: Tensor, image: Tensor) -> Tensor:
        jacobian = torch.func.jacrev(of_patches)(free, image)
        return torch.einsum("kpd,kpe->de", jacobian, jacobian)

    with torch.no_grad():
        return torch.func.vmap(of_image, chunk_size=CHUNK)(patches, x).mean(0)


CHUNK = 8


def training_step() -> dict[str, float]:
    torch.manual_seed(0)
    network, x, labels = resnet20().train(), images(100, 3, 32, 32), torch.arange(100) % 10

    def step() -> None:
        network.zero_grad()
        functional.cross_entropy(network(x), labels).backward()

    def measure() -> None:
        cnfa.measure(network, x, rotations=0, resamples=0)

    def report() -> None:
        cnfa.measure(network, x)

    step()
    measure()
    pairs = [(seconds_of(step, 3), seconds_of(measure), seconds_of(report)) for _ in range(5)]
    ratios = sorted(measured / trained for trained, measured, _ in pairs)
    with_report = sorted(full / trained for trained, _, full in pairs)
    return {"training_step_s": pairs[2][0], "ratio": ratios[2], "ratio_with_controls_and_intervals": with_report[2]}


def vectorised() -> dict[str, float]:
    """All ten outputs of ResNet-20 in one vectorised backward pass, against one at a time as on a CPU."""
    torch.manual_seed(0)
    network, x = resnet20(), images(100, 3, 32, 32)

    def measure() -> None:
        cnfa.measure(network, x, rotations=0, resamples=0, memory_budget=2**33)

    measure()
    limit = planning.CPU_CHUNK_BYTES
    ratios = []
    for _ in range(3):
        planning.CPU_CHUNK_BYTES = limit
        one_by_one = seconds_of(measure)
        planning.CPU_CHUNK_BYTES = 2**33
        ratios.append(seconds_of(measure) / one_by_one)
    return {"ratio": sorted(ratios)[1]}


def four_layers_meter() -> dict[str, float]:
    network, x = four_layers(), images(64, 3, 32, 32)
    budget = 64 * 2**20
    return {"seconds": seconds_of(lambda: cnfa.measure(network, x, memory_budget=budget, rotations=0, resamples=0))}


def four_layers_unfolded() -> dict[str, float]:
    network, x = four_layers(), images(64, 3, 32, 32)
    layers = [module for module in network if isinstance(module, nn.Conv2d)]
    times = [seconds_of(lambda layer=layer: unfolded_agop(network, layer, x)) for layer in layers]
    return {"seconds": sum(times), "shortest_layer_s": min(times), "longest_layer_s": max(times)}


def four_layers_agree() -> dict[str, float]:
    network, x = four_layers(), images(4, 3, 32, 32)
    third = network[2]
    assert isinstance(third, nn.Conv2d)
    expected = unfolded_agop(network, third, x)
    difference = cnfa.patch_agop(network, x, "2") - expected
    return {"relative_difference": float(difference.abs().max() / expected.abs().max())}


def resnet18_probed() -> dict[str, float]:
    network, x = resnet18(), images(16, 3, 224, 224)
    run = seconds_of(lambda: cnfa.measure(network, x, probes=16, rotations=0, resamples=0))
    return {"seconds_per_image": run / len(x), "n_images": len(x)}


def resnet18_exact() -> dict[str, float]:
    network, x = resnet18(), images(1, 3, 224, 224)
    return {"seconds_per_image": seconds_of(lambda: cnfa.measure(network, x, rotations=0, resamples=0))}


def resnet18_unfolded() -> dict[str, float]:
    network, x = resnet18(), images(1, 3, 224, 224)
    convolutions = {name: m for name, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    scale = 1000 / UNFOLDED_OUTPUTS
    times = {
        name: scale * seconds_of(lambda layer=layer: unfolded_agop(network, layer, x, UNFOLDED_OUTPUTS))
        for name, layer in convolutions.items()
    }
    full = seconds_of(lambda: unfolded_agop(network, convolutions["layer4.1.conv2"], x))
    return {
        "seconds_per_image": sum(times.values()),
        "layers": len(times),
        "scaled_layer4.1.conv2_s": times["layer4.1.conv2"],
        "in_full_layer4.1.conv2_s": full,
    }


def squeezenet(data: Path) -> dict[str, float]:
    import torchvision

    from convrfm.experiments.published_networks import photos_as_caffe

    network = torchvision.models.squeezenet1_1()
    network.load_state_dict(load_weights(data / "weights" / "squeezenet1_1.safetensors"))
    x = photos_as_caffe(data, 50)
    return {"seconds": seconds_of(lambda: cnfa.measure(network, x, probes=16))}


ALONE = {
    "training_step": training_step,
    "vectorised": vectorised,
    "four_layers_meter": four_layers_meter,
    "four_layers_unfolded": four_layers_unfolded,
    "four_layers_agree": four_layers_agree,
    "resnet18_probed": resnet18_probed,
    "resnet18_exact": resnet18_exact,
    "resnet18_unfolded": resnet18_unfolded,
}


def main(case: str, data: Path | None) -> None:
    if not torch.cuda.is_available():  # torchvision's wheel needs CUDA for operators that no case calls
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    torch.set_num_threads(1)
    cnfa.measure(nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(8, 2)), images(2, 3, 4, 4))  # warm
    before = peak_bytes()
    found = ALONE[case]() if data is None else squeezenet(data)
    print(json.dumps({**found, "peak_bytes": peak_bytes() - before}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None)
