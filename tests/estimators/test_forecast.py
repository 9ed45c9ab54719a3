"""What is told of a fit counts every layer, every round and every fold, is put right by finished rounds, and refuses what
memory cannot hold."""

import time
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from convrfm import ConvRFMClassifier, DeepConvRFMClassifier, kernels
from convrfm.errors import InputError
from convrfm.estimators.ahead import forecast, outlook
from convrfm.estimators.ahead.costs import ExpectedRound, LayerCosts, Prospect
from convrfm.estimators.ahead.footprint import METRICS_ALIVE, bytes_of
from convrfm.estimators.ahead.forecast import looked_closer, prospect
from convrfm.estimators.ahead.laws import ByParts, ByTiles
from convrfm.estimators.ahead.outlook import Outlook
from convrfm.estimators.learning.plan import Plan
from convrfm.estimators.learning.problem import Problem
from convrfm.estimators.learning.starts import NOTHING_DRAWN, FilterDraw
from convrfm.estimators.solving.iterative import Iterative
from convrfm.estimators.solving.solver import Exact
from convrfm.kernels.growth import AT_A_GLANCE, THOROUGHLY, Pairs, Powers
from convrfm.kernels.kernel_tiles import TileLayout
from convrfm.maths.windows import Window
from convrfm.solvers.exact import RidgePath

from ..alive import Alive
from .cases import KERNEL, pictures

X, Y = pictures(40)
DRAW = FilterDraw(5, "relu", ("mean", None), np.random.SeedSequence(0).spawn(3))


class Clock:
    """A kernel that moves a clock: for each pair and channel a unit, ten with a metric, a hundred for a gradient.

    Pairs are computed for 32 images on the right at a time, whether or not there are as many. Each image on the left takes
    seven more, and a thousand for each output of a gradient; on the right seven and fifty.
    """

    window = Window(3)
    now = 0.0

    def __call__(self, x: Any, z: Any = None, *, feature_matrix: Any = None, progress: Any = None) -> torch.Tensor:
        a_pair = x.shape[1] * (1 if feature_matrix is None else 10)
        Clock.now += 1e-7 * (a_pair * len(x) * filled_up(len(z)) + 7 * (len(x) + len(z)))
        return x.new_ones(len(x), len(z))

    def diagonal(self, x: Any, *, feature_matrix: Any = None) -> torch.Tensor:
        raise NotImplementedError

    def agop(self, x: Any, z: Any, dual_coef: Any, *, feature_matrix: Any = None, **keywords: Any) -> torch.Tensor:
        a_pair = x.shape[1] * dual_coef.shape[1] * (100 if feature_matrix is None else 200)
        Clock.now += 1e-7 * (a_pair * len(x) * filled_up(len(z)) + 1000 * len(x) * dual_coef.shape[1] + 50 * len(z))
        return x.new_ones(9, 9)

    def check_image_size(self, height: int, width: int) -> None: ...


def filled_up(images: int) -> int:
    return -(-images // 32) * 32


def problem(**changes: Any) -> Problem:
    settings: dict[str, Any] = {
        "kernel": Clock(),
        "solver": Exact(),
        "x": torch.tensor(X),
        "y": torch.eye(3)[torch.tensor(Y)],
        "weights": None,
        "groups": None,
        "classify": True,
        "ridges": (1e-3,),
        "agop_indices": torch.arange(10),
        "agop_ridge": "chosen",
        "initial_metric": "identity",
        "feature_power": 0.5,
        "feature_trace": None,
        "shrinkages": (0.0,),
        "selection": None,
    }
    return Problem(**(settings | changes))


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> None:
    for clock in ("perf_counter", "process_time"):
        monkeypatch.setattr(f"convrfm.kernels.growth.time.{clock}", lambda: Clock.now)


def own_matrix(n: int, a_pair: int) -> float:
    return 1e-7 * (7 * n + a_pair * sum(map(filled_up, range(1, n + 1))))


def matrix(n: int, m: int, a_pair: int) -> float:
    return 1e-7 * (7 * (n + m) + a_pair * n * filled_up(m))


def agop(n: int, m: int, a_pair: int) -> float:
    return 1e-7 * (a_pair * n * filled_up(m) + 3000 * n + 50 * m)


@pytest.mark.usefixtures("clocked")
@pytest.mark.parametrize("n_iterations", [0, 2])
@pytest.mark.parametrize("n_folds", [0, 4])
def test_seconds_are_those_of_all_layers_rounds_and_folds(n_iterations: int, n_folds: int) -> None:
    plan = Plan([(Clock(), Clock(), Clock())], DRAW, n_iterations, "best")
    ahead = prospect(plan, problem(), [1 / 4] * n_folds, THOROUGHLY)
    expected = []
    for channels, tried in ((1, 1), (5, 2), (5, 2)):  # two ways of centering
        fits = [(40, 0, 10)] + n_folds * [(30, 10, 8)]
        for iteration in range(n_iterations + 1):
            a_pair = channels * (10 if iteration else 1)
            seconds = sum(own_matrix(n, a_pair) + (matrix(held, n, a_pair) if held else 0) for n, held, _ in fits)
            if iteration:
                seconds += sum(agop(at, n, 3 * channels * (100 if iteration == 1 else 200)) for n, _, at in fits)
            expected.append(seconds if iteration else tried * seconds)
    rounds = ahead.rounds(40, 10)
    assert [each.seconds for each in rounds] == pytest.approx(expected, rel=1e-4)
    assert [each.iteration for each in rounds] == 3 * list(range(n_iterations + 1))


@pytest.mark.usefixtures("clocked")
def test_every_tile_and_part_of_conjugate_gradients_reads_its_images_in_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty images make five rows of tiles, and the ten at which gradients are taken three parts."""
    monkeypatch.setattr(forecast, "default_side", lambda n: 8)
    monkeypatch.setattr(forecast, "part_size", lambda device: 4)
    ahead = prospect(Plan([(Clock(),)], DRAW, 1, "best"), problem(solver=Iterative(seed=0)), [], THOROUGHLY)
    again = 1e-7 * 7 * 40 * 4
    expected = [own_matrix(40, 1) + again, own_matrix(40, 10) + again + agop(10, 40, 300) + 1e-7 * 50 * 40 * 2]
    assert [each.seconds for each in ahead.rounds(40, 10)] == pytest.approx(expected, rel=1e-4)


@pytest.mark.usefixtures("clocked")
def test_images_of_a_selection_set_count_in_every_round() -> None:
    plan = Plan([(Clock(),)], DRAW, 0, "best")
    judged = problem(selection=(torch.tensor(X[:9]), torch.eye(3)[torch.tensor(Y[:9])]))
    assert prospect(plan, judged, [], THOROUGHLY).seconds(40, 10) == pytest.approx(
        own_matrix(40, 1) + matrix(9, 40, 1), rel=1e-4
    )


@pytest.mark.usefixtures("clocked")
def test_outputs_at_test_images_are_those_of_every_round_or_in_depth_of_every_layer() -> None:
    flat = prospect(Plan([(Clock(),)], DRAW, 3, "best"), problem(), [], THOROUGHLY, n_test=500)
    assert flat.seconds_of_outputs(40) == pytest.approx(matrix(500, 40, 1) + 3 * matrix(500, 40, 10), rel=1e-4)
    deep = prospect(Plan([(Clock(), Clock(), Clock())], DRAW, 3, "best"), problem(), [], THOROUGHLY, n_test=500)
    layers = sum(matrix(500, 40, 10 * channels) for channels in (1, 5, 5))
    assert deep.seconds_of_outputs(40) == pytest.approx(matrix(500, 40, 1) + layers, rel=1e-4)


@pytest.mark.usefixtures("clocked")
@pytest.mark.parametrize("n_test", [0, 1000])
def test_what_is_little_of_a_fit_is_looked_at_once(n_test: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients are nearly all of this fit, and matrices all of its outputs."""
    plan, calls = Plan([(Clock(),)], DRAW, 2, "best"), {"matrix": 0, "agop": 0}
    for name, original in (("matrix", Clock.__call__), ("agop", Clock.agop)):

        def counting(*args: Any, _name: str = name, _original: Any = original, **keywords: Any) -> torch.Tensor:
            calls[_name] += 1
            return _original(*args, **keywords)

        monkeypatch.setattr(Clock, "__call__" if name == "matrix" else name, counting)
    glanced = prospect(plan, problem(), [], AT_A_GLANCE, n_test=n_test)
    seen = dict(calls)
    again = looked_closer(glanced, problem(), THOROUGHLY, 40)
    assert {name for name in calls if calls[name] > seen[name]} == ({"matrix", "agop"} if n_test else {"agop"})
    assert again.seconds(40, 40) == pytest.approx(prospect(plan, problem(), [], THOROUGHLY).seconds(40, 40), rel=0.1)


@pytest.mark.usefixtures("clocked")
@pytest.mark.parametrize("n_iterations", [0, 1, 2])
@pytest.mark.parametrize("depth", [1, 3])
def test_a_closer_look_tells_what_a_whole_look_does(n_iterations: int, depth: int) -> None:
    plan = Plan([tuple(Clock() for _ in range(depth))], DRAW, n_iterations, "best")
    closer = looked_closer(prospect(plan, problem(), [], AT_A_GLANCE), problem(), THOROUGHLY, 10)
    assert closer.seconds(40, 10) == pytest.approx(prospect(plan, problem(), [], THOROUGHLY).seconds(40, 10), rel=0.05)


class OfPatches(Clock):
    """A kernel that moves a clock as patches of many entries do: by their square for each image where M or an AGOP is met."""

    def __call__(self, x: Any, z: Any = None, *, feature_matrix: Any = None, progress: Any = None) -> torch.Tensor:
        an_image = x.shape[1] if feature_matrix is None else x.shape[1] ** 2
        Clock.now += 1e-9 * (x.shape[1] * len(x) * filled_up(len(z)) + an_image * (len(x) + len(z)))
        return x.new_ones(len(x), len(z))

    def agop(self, x: Any, z: Any, dual_coef: Any, *, feature_matrix: Any = None, **keywords: Any) -> torch.Tensor:
        an_image = x.shape[1] if feature_matrix is None else x.shape[1] ** 2
        pairs = 9 * x.shape[1] * len(x) * filled_up(len(z))
        Clock.now += 1e-9 * (pairs + 5 * x.shape[1] ** 2 * len(x) + an_image * len(z))
        return x.new_ones(9, 9)


@pytest.mark.usefixtures("clocked")
@pytest.mark.parametrize("n_iterations", [0, 2])
def test_a_layer_of_many_filters_is_told_from_a_part_of_them(
    n_iterations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = FilterDraw(64, "relu", (None,), np.random.SeedSequence(0).spawn(3))
    plan = Plan([(OfPatches(), OfPatches())], draw, n_iterations, "best")
    whole = prospect(plan, problem(), [], THOROUGHLY)
    monkeypatch.setattr(forecast, "MOST_FILTERS", 8)
    part = prospect(plan, problem(), [], THOROUGHLY)
    assert [r.seconds for r in part.rounds(40, 10)] == pytest.approx(
        [r.seconds for r in whole.rounds(40, 10)], rel=1e-3
    )


def test_the_look_at_a_layer_of_many_filters_is_bounded() -> None:
    """Metrics of 9,000 entries take 648 MB each, and minutes to be decomposed, which the fit would do and no look does."""
    x, y = pictures(12)
    model = DeepConvRFMClassifier(depth=2, n_filters=1000, n_iterations=1)
    with Alive() as found:
        told = model.forecast(x, y, patience=AT_A_GLANCE)
    assert found.peak < 1e8
    assert told.bytes > 9 * 8 * 9000**2
    assert told.seconds > 10


@pytest.mark.usefixtures("clocked")
def test_decompositions_of_metrics_count_in_updates_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One in each AGOP that is made a metric, one in the kernel under it, and from the second on one in the AGOP under it."""
    law = Powers({3: 0.0})
    plan = Plan([(Clock(),)], DRAW, 2, "best")
    without = [r.seconds for r in prospect(plan, problem(), [], THOROUGHLY).rounds(40, 10)]
    monkeypatch.setattr(forecast, "_decomposition_law", lambda *of: replace(law, coefficients={3: 1.0}))
    seconds = [r.seconds for r in prospect(plan, problem(), [], THOROUGHLY).rounds(40, 10)]
    assert seconds == pytest.approx(
        [before + of * 9**3 for before, of in zip(without, (0, 2, 3), strict=True)], rel=1e-4
    )


@pytest.mark.parametrize("n", [900, 1024, 5000])
def test_tiles_of_a_matrix_take_together_what_is_told_of_all(n: int) -> None:
    law = ByTiles(2e-3, 3e-5, 5e-5, 1e-6, 1024)
    layout = TileLayout(n, n, 1024, symmetric=True)
    sides = [[part.stop - part.start for part in layout.of(place)] for place in layout.places]
    one_by_one = [
        Pairs.symmetric_seconds(law, rows) if i == j else 2e-3 + rows * 3e-5 + columns * 5e-5 + 1e-6 * rows * columns
        for (i, j), (rows, columns) in zip(layout.places, sides, strict=True)
    ]
    assert law.symmetric_seconds(n) == pytest.approx(sum(one_by_one), rel=3e-3)


def test_parts_of_an_agop_take_together_what_is_told_of_all() -> None:
    law = ByParts(2e-2, 1e-3, 2e-4, 1e-5, 64)
    parts = [Pairs.seconds(law, size, 5000) for size in (64, 64, 22)]
    assert law.seconds(150, 5000) == pytest.approx(sum(parts))


def test_few_images_are_whole_groups_as_all_of_them_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies stand behind all images: what leaving out costs is not told by the first of each group."""
    sizes: list[int] = []

    def recorded(matrix: Any, targets: Any, weights: Any, groups: torch.Tensor, **keywords: Any) -> RidgePath:
        sizes.append(int(groups.unique(return_counts=True)[1].max()))
        return RidgePath(matrix, targets, weights, groups, **keywords)

    monkeypatch.setattr(forecast, "RidgePath", recorded)
    originals = torch.arange(32)
    copied = problem(x=torch.randn(320, 1, 6, 6), y=torch.randn(320, 3), groups=originals.repeat(10))
    forecast._regression_law(copied, THOROUGHLY)
    assert set(sizes) == {10}


def test_what_is_left_is_put_right_by_the_rounds_that_are_finished(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(outlook.time, "perf_counter", lambda: now[0])
    expected = [ExpectedRound(iteration, 100.0 if iteration else 10.0) for iteration in (0, 1, 2, 0, 1, 2)]
    ahead = Outlook(expected, told=True)
    told = []
    for took in (20.0, 100.0, 100.0, 20.0, 300.0, 300.0):
        now[0] += took
        ahead.round_finished()
        told.append((ahead.seconds_left, capfd.readouterr().err))
    assert [left for left, _ in told] == [420.0, 320.0, 220.0, 200.0, 300.0, 0.0]
    assert [words for _, words in told if words] == ["after 5 of 6 rounds: about 5 min left (estimated)\n"]


@pytest.mark.parametrize("slower", [3.0, 1 / 3])
def test_what_is_left_follows_the_load_of_the_machine(slower: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """What rounds took before the load changed says nothing of those to come."""
    now = [0.0]
    monkeypatch.setattr(outlook.time, "perf_counter", lambda: now[0])
    ahead = Outlook([ExpectedRound(iteration, 60.0) for iteration in range(9)], told=False)
    for load in [1.0] * 4 + [slower] * 2:
        now[0] += 60.0 * load
        ahead.round_finished()
    assert ahead.seconds_left == pytest.approx(3 * 60 * slower)


def of_metrics(x: np.ndarray) -> int:
    """Bytes in which that of patches of 3 x 3 pixels is learned once."""
    return (8 * METRICS_ALIVE + x.itemsize) * 9**2


@pytest.mark.parametrize("weighted", [False, True])
def test_a_fit_that_memory_cannot_hold_is_refused_with_what_it_can_hold(
    weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = pictures(60)
    n, a_pair = len(x), 60 if weighted else 40
    free = 30**2 * a_pair + of_metrics(x)  # of 30 images, which are there already
    monkeypatch.setattr(outlook, "free_bytes", lambda device: free / outlook.USABLE + 1)
    model = ConvRFMClassifier(KERNEL, n_iterations=1)
    weights = np.ones(n) if weighted else None
    with pytest.raises(
        InputError, match=r"a fit to 60 images needs .* n_train=30 it fits, and takes about \d+ s.*solver=.features"
    ):
        model.fit(x, y, sample_weight=weights)
    keep = slice(n // 2 - 15, n // 2 + 15)
    model.fit(x[keep], y[keep], sample_weight=None if weights is None else weights[keep])


@pytest.mark.parametrize(("solver", "grouped"), [("cg", False), ("exact", True)])
@pytest.mark.parametrize(("free", "remedy"), [(200_000, r"Take fewer: with n_train=\d+ it fits"), (100, "Free memory")])
def test_a_refusal_names_no_solver_and_no_number_of_images_that_would_be_refused_too(
    solver: Any, grouped: bool, free: int, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = pictures(90)
    monkeypatch.setattr(outlook, "free_bytes", lambda device: free)
    does = "conjugate gradients keep" if solver == "cg" else "is decomposed"
    with pytest.raises(InputError, match=f"{does}.*{remedy}") as refused:
        ConvRFMClassifier(KERNEL, n_iterations=1, solver=solver).fit(
            x, y, groups=np.arange(90) // 2 if grouped else None
        )
    assert 'solver="cg"' not in str(refused.value)


def test_an_announcement_counts_candidates_layers_and_folds(capfd: pytest.CaptureFixture[str]) -> None:
    x, y = pictures(12)
    ConvRFMClassifier([KERNEL, kernels.NNGP(kernels.vanilla(1))], n_iterations=1, verbose=True, cv=2).fit(x, y)
    assert "fitting 4 rounds, each in 2 folds as well, on 12 images: less than a minute" in capfd.readouterr().err
    DeepConvRFMClassifier(depth=2, n_filters=3, n_iterations=2, verbose=True).fit(x, y)
    said = capfd.readouterr().err
    assert "fitting 6 rounds on 12 images: less than a minute" in said
    assert "of memory, up to 512 MiB more at work (estimated). Round 0" in said
    ConvRFMClassifier(KERNEL, n_iterations=0, verbose=True).fit(x, y)
    assert (
        capfd.readouterr().err.rstrip().endswith("more at work (estimated).")
    )  # of one round nothing is to be explained


def test_an_announcement_tells_what_outputs_at_test_images_take_beside_the_rounds(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(outlook, "SHORT", 0.0)
    x, y = pictures(12)
    ConvRFMClassifier(KERNEL, n_iterations=0, verbose=True).fit(x, y, n_test=7)
    assert "more at work (estimated). Outputs at 7 test images take about 1 s more." in capfd.readouterr().err
    monkeypatch.setattr(outlook, "SHORT", 1e9)
    ConvRFMClassifier(KERNEL, n_iterations=0, verbose=True).fit(x, y, n_test=7)
    assert "Outputs" not in capfd.readouterr().err


@pytest.mark.parametrize("share", [0.5, 1.5])
def test_a_look_that_other_programs_hold_up_says_so(
    share: float, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """This process has half of the time at work, or one processor and half of another."""
    monkeypatch.setattr(outlook, "LONG_FIT_SECONDS", 0.0)
    monkeypatch.setattr(outlook.time, "process_time", lambda: share * time.perf_counter())
    x, y = pictures(12)
    ConvRFMClassifier(KERNEL, n_iterations=0, verbose=True).fit(x, y)
    told = "(estimated). Other programs keep the processors busy; alone it would take less."
    assert (told in capfd.readouterr().err) is (share < 1)


def test_a_small_regression_that_waits_for_a_team_of_threads_is_told_by_what_one_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beside other programs a hundredth of a second took 0.3, of which the cube told hours for thousands of images."""
    waits = iter([0.3] * 100)

    class Slow(RidgePath):
        def leave_one_out(self, ridges: Any) -> Any:
            if torch.get_num_threads() > 1:
                time.sleep(next(waits))
            return super().leave_one_out(ridges)

    monkeypatch.setattr(forecast, "RidgePath", Slow)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        law = forecast._regression_law(problem(x=torch.randn(1500, 1, 6, 6), y=torch.randn(1500, 3)), AT_A_GLANCE)
    finally:
        torch.set_num_threads(before)
    assert law.seconds(1500) < 30


def test_copies_are_told_apart_from_images_and_what_is_proposed_counts_images(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    x, y = pictures(40)
    model = ConvRFMClassifier(KERNEL, n_iterations=1, augment=("flip",), verbose=True).fit(x[:12], y[:12])
    assert "fitting 2 rounds on 12 images (24 with their copies): less than a minute" in capfd.readouterr().err
    free = 20**2 * 40 + of_metrics(x)  # of 10 images and their copies
    monkeypatch.setattr(outlook, "free_bytes", lambda device: free / outlook.USABLE + 1)
    with pytest.raises(InputError, match=r"a fit to 40 images \(80 with their copies\) needs .* n_train=10 it fits"):
        model.fit(x, y)


def test_fewer_gradients_are_at_images_and_their_copies() -> None:
    """Of 60 images and their mirror images a tenth is 6 of each; gradients are all that takes time here."""
    gradients = LayerCosts([Pairs(0.0, 0.0, 0.0, 0.0)] * 2, [Pairs(0.0, 1.0, 0.0, 0.0)] * 2, Powers({0: 0.0}))
    plan = Plan([(Clock(),)], NOTHING_DRAWN, 1, "best")
    said = outlook._with_fewer_gradients(Prospect(plan, [[gradients]], 0, 1, ()), 120, 120, 2)
    assert said == "With agop_samples=6 (gradients at 6 of the images) it would be about 12 s."


@pytest.mark.parametrize(("n_features", "told"), [(3, True), (1, False)])
def test_more_features_than_images_are_told_of_before_a_long_fit(
    n_features: int, told: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without pooling every position has its own."""
    monkeypatch.setattr(outlook, "LONG_FIT_SECONDS", 0.0)
    x, y = pictures(90)
    model = ConvRFMClassifier(KERNEL, n_iterations=0, solver="features", n_features=n_features, verbose=True)
    model.fit(x, y)
    columns = model.coef_.shape[0]
    said = capfd.readouterr().err
    assert (columns > 90) is told
    assert (f'has {columns} features, more than there are images: solver="exact"' in said) is told


@pytest.mark.parametrize("pooling", [2, "global"])
def test_features_of_a_kernel_that_averages_are_not_called_too_many(
    pooling: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """They save the pairs of positions that it meets, however many they are."""
    monkeypatch.setattr(outlook, "LONG_FIT_SECONDS", 0.0)
    x, y = pictures(20)
    kernel = kernels.NNGP(kernels.vanilla(1, pooling=pooling))
    model = ConvRFMClassifier(kernel, n_iterations=0, solver="features", n_features=64, verbose=True).fit(x, y)
    assert model.coef_.shape[0] > 20
    said = capfd.readouterr().err
    assert "fitting 1 round" in said
    assert "more than there are images" not in said


def test_a_warm_start_announces_the_rounds_that_are_missing(capfd: pytest.CaptureFixture[str]) -> None:
    x, y = pictures(12)
    model = ConvRFMClassifier(KERNEL, n_iterations=1, warm_start=True).fit(x, y)
    model.set_params(n_iterations=4, verbose=True).fit(x, y)
    assert "fitting 3 rounds on 12 images" in capfd.readouterr().err


def test_progress_says_which_kernel_layer_round_fold_and_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    labels: list[str] = []

    def shown(*, shown: bool) -> Any:
        return nullcontext(lambda label: lambda stage: labels.append(f"{label}, {stage}"))

    monkeypatch.setattr("convrfm.estimators.candidates.shown_progress", shown)
    x, y = pictures(12)
    DeepConvRFMClassifier([kernels.vanilla_ntk], depth=[1, 2], n_filters=3, n_iterations=1, cv=2).fit(x, y)
    assert labels[0] == "kernel 1/2, round 0/1, fold 1/2, kernel"
    assert "kernel 2/2, layer 2/2, round 1/1, fold 2/2, AGOP" in labels
    labels.clear()
    ConvRFMClassifier(KERNEL, n_iterations=1).fit(x, y)
    assert labels == ["round 0/1, kernel", "round 1/1, AGOP", "round 1/1, kernel"]


def test_patches_of_one_contrast_are_counted_unfolded() -> None:
    plain, seen = (
        kernels.NNGP(kernels.Architecture(kernels.Conv(3, contrast=contrast), kernels.ReLU(), kernels.Flatten()))
        for contrast in (None, 1.0)
    )
    few, many = (
        bytes_of(Plan([(kernel,)], DRAW, 0, "best"), problem(kernel=kernel), 1000, 2) for kernel in (plain, seen)
    )
    images = problem().x
    windows = images.unfold(2, 3, 1).unfold(3, 3, 1)
    assert many - few >= 1000 * windows[0].numel() * images.element_size()
