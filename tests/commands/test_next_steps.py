"""Who gains little by learning is told what to try next, and what it takes."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from convrfm import ConvRFMClassifier
from convrfm.cli import app
from convrfm.cli.app import defaults_of
from convrfm.commands import next_steps
from convrfm.commands.choices import (
    AugmentationName,
    FirstFiltersName,
    InitialMetricName,
    KernelName,
    Network,
    PatchNormalizationName,
    SolverName,
    Unreadable,
    Validation,
)
from convrfm.commands.fit import beside_the_rounds, check_without_images, pace_of
from convrfm.commands.fit_settings import FitSettings
from convrfm.datasets import ImageData, load
from convrfm.errors import InputError
from convrfm.estimators.ahead import outlook
from convrfm.estimators.given.targets import Quality
from convrfm.kernels import NNGP, growth
from convrfm.kernels.forecast import Forecast

SETTINGS = FitSettings(
    data="bars", kernel=[KernelName.NTK], network=[Network.VANILLA], depth=[1], patch_size=[3], pool_size=2, bandwidth=10.0,
    iterations=1, shrinkage=(0.0,), ridge=None, solver=SolverName.EXACT, n_features=1024,
    first_filters=FirstFiltersName.GAUSSIAN, memory_budget=None,
    patch_normalization=PatchNormalizationName.NONE, initial_metric=InitialMetricName.IDENTITY,
    augment=(), deep=False, filters=4, cv=None, agop_samples=None, n_train=30, n_test=10, image_size=None,
    center=False, sigma=None, labels=None, validation=Validation.SELECT, unreadable=Unreadable.ERROR, baselines=False,
    download=False, seed=0, device="cpu",
)  # fmt: skip
SECONDS = {"average": 60.0, "global": 3600.0, "larger": 120.0}


@pytest.fixture(scope="module")
def chance() -> ImageData:
    """Labels that nothing can learn."""
    data = load("bars", n_train=30, n_test=10, seed=0)
    return replace(data, y_train=np.random.default_rng(5).permutation(data.y_train))


@pytest.fixture(autouse=True)
def timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def seconds(settings: FitSettings, images: ImageData, pace: float | None, left: float) -> float | None:
        if settings.deep:
            return None
        return SECONDS["larger" if Network.VANILLA in settings.network else str(settings.network[0])]

    monkeypatch.setattr(next_steps, "expected_seconds", seconds)


def typed(settings: FitSettings) -> str:
    return settings.command(Path("next"), defaults_of("fit"))


def steps(settings: FitSettings, data: ImageData, **changes: Any) -> list[tuple[str, str]]:
    model = settings.unfitted(verbose=False).fit(data.x_train, data.y_train)
    return [(step.options, step.cost) for step in next_steps.next_steps(settings, model, data, None, 1.0, typed)]


def test_every_step_is_told_with_its_cost_and_what_the_images_do_not_allow_is_not(chance: ImageData) -> None:
    told = dict(steps(SETTINGS, chance))
    assert told.pop("--network vanilla --network average --network global").startswith("about 1 h 1 min")
    plain, mirrored = [options for options in told if "whitening" in options]
    assert mirrored == f"{plain} --augment flip"
    assert told.pop(plain) == told.pop(mirrored) == "about 1 min"
    assert told == {
        "--network average": "about 1 min",
        "--network global": "about 1 h",
        "--patch-size 5": "about 2 min",
    }


def test_every_step_is_told_as_a_whole_command_too(chance: ImageData) -> None:
    """With all that the fit was asked for, but for what the step replaces and what has no effect beside it."""
    settings = replace(SETTINGS, agop_samples=5, center=True, depth=[1])
    model = settings.unfitted(verbose=False).fit(chance.x_train, chance.y_train)
    told = next_steps.next_steps(settings, model, chance, None, 1.0, typed)
    assert len(told) == 6
    for step in told:
        assert step.command.startswith("convrfm fit bars --out next ")
        assert " --center" in step.command
        assert (" --agop-samples 5" in step.command) == ("--iterations 0" not in step.options)
        words = step.options.split()
        pairs = [" ".join(words[at : at + 2]) for at in range(0, len(words), 2)]
        assert all(pair in step.command for pair in pairs if pair not in ("--network vanilla", "--patch-size 3"))


@pytest.mark.parametrize(
    ("where", "option"), [(2, " --workers 2"), ("tcp://10.0.0.1:8786", " --scheduler tcp://10.0.0.1:8786"), (None, "")]
)
def test_who_shares_the_work_stands_in_commands_but_those_on_random_features(
    where: int | str | None, option: str, chance: ImageData
) -> None:
    settings = replace(SETTINGS, solver=SolverName.AUTO)
    model = settings.unfitted(verbose=False).fit(chance.x_train, chance.y_train)
    told = next_steps.next_steps(
        settings, model, chance, None, 1.0, lambda other: other.command(Path("next"), defaults_of("fit"), where)
    )
    assert {"--solver features" in step.command for step in told} == {True, False}
    for step in told:
        words = "" if "--solver features" in step.command else option
        assert step.command.partition(" --workers")[0].partition(" --scheduler")[0] + words == step.command


@pytest.mark.parametrize(("depth", "options"), [(1, "--deep --depth 3"), (2, "--deep")])
def test_what_is_proposed_in_depth_has_several_layers(
    depth: int, options: str, chance: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One layer is the model that was fitted."""
    monkeypatch.setattr(next_steps, "expected_seconds", lambda *asked: 1.0)
    settings = replace(SETTINGS, depth=[depth])
    model = settings.unfitted(verbose=False).fit(chance.x_train, chance.y_train)
    told = {step.options: step.command for step in next_steps.next_steps(settings, model, chance, None, 1.0, typed)}
    assert [option for option in told if "deep" in option] == [options]
    assert ("--depth" in told[options]) == (depth == 2)  # three are the default


def test_looking_into_what_it_would_take_ends_where_the_fit_took_less(
    chance: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = SETTINGS.unfitted(verbose=False).fit(chance.x_train, chance.y_train)
    now = [0.0]
    monkeypatch.setattr(next_steps.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(next_steps, "_gained", lambda *judged: False)

    def seconds(settings: FitSettings, images: ImageData, pace: float | None, left: float) -> float:
        if left < 0:
            raise TimeoutError
        now[0] += 15.0
        return 60.0

    monkeypatch.setattr(next_steps, "expected_seconds", seconds)
    for took, looked_into in ((1.0, 2), (60.0, 3), (1000.0, 6)):
        told = next_steps.next_steps(SETTINGS, model, chance, None, took, typed)
        costs = [step.cost for step in told if not step.options.startswith("--network vanilla")]
        assert costs == ["about 1 min"] * looked_into + [next_steps.NOT_LOOKED_AT] * (6 - looked_into)
        assert (told[-1].cost == next_steps.NOT_LOOKED_AT) == (
            looked_into < 6
        )  # both networks are compared all the same
        now[0] = 0.0
    small = replace(chance, x_train=chance.x_train[..., :4, :4], x_test=chance.x_test[..., :4, :4])
    monkeypatch.setattr(next_steps, "LOOKS", -1.0)
    told = next_steps.next_steps(replace(SETTINGS, depth=[2]), model, small, None, -1.0, typed)
    assert told == []  # neither two layers nor patches of five go into these images


def test_a_look_ends_when_its_time_is_over(chance: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the next of its runs, however many are missing."""
    monkeypatch.undo()
    runs, plain = list[tuple[int, int]](), growth.Pairs.seconds

    def seconds(law: growth.Pairs, n: int, m: int) -> float:
        runs.append((n, m))
        return plain(law, n, m)

    monkeypatch.setattr(growth.Pairs, "seconds", seconds)
    assert next_steps.expected_seconds(SETTINGS, chance, None, 60.0) is not None
    assert runs
    runs.clear()
    with pytest.raises(TimeoutError):
        next_steps.expected_seconds(SETTINGS, chance, None, 0.0)
    assert not runs
    assert next_steps.expected_seconds(SETTINGS, chance, None, 60.0) is not None  # nothing is left behind


@pytest.mark.parametrize("left", [5.0, -1.0])
@pytest.mark.parametrize("fitted", [{"network": [Network.MYRTLE_5]}, {"kernel": [KernelName.GAUSSIAN]}])
def test_steps_that_there_are_not_or_that_would_change_nothing_are_not_proposed(
    fitted: dict[str, Any], left: float, chance: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is laid upon Myrtle, which has patches of its own; radial kernels have no network."""
    monkeypatch.undo()
    model = SETTINGS.unfitted(verbose=False).fit(chance.x_train, chance.y_train)
    monkeypatch.setattr(next_steps, "_gained", lambda *judged: False)
    monkeypatch.setattr(next_steps, "LOOKS", left)
    settings = replace(SETTINGS, **fitted)
    told = next_steps.next_steps(settings, model, chance, None, left, typed)
    commands = [step.command for step in told]
    assert commands
    assert settings.command(Path("next"), defaults_of("fit")) not in commands
    assert not any(
        "--network" in step.options and "--kernel" not in step.options for step in told if "kernel" in fitted
    )
    assert not any(step.options in ("--deep", "--patch-size 5") for step in told if "network" in fitted)


def test_the_pace_is_of_a_process_that_did_the_work_itself() -> None:
    assert pace_of(10.0, 5.0, alone=True) == 2
    assert pace_of(10.0, 5.0, alone=False) is None  # workers computed while it waited
    assert pace_of(10.0, 0.01, alone=True) is None


def test_a_cost_is_told_at_the_pace_that_the_fit_had(chance: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(ConvRFMClassifier, "forecast", lambda *_, **__: Forecast(30.0, 1))
    assert next_steps.expected_seconds(SETTINGS, chance, 4.0, 9.0) == 120.0
    assert next_steps.expected_seconds(SETTINGS, chance, None, 9.0) == 30.0


def test_what_was_tried_is_not_proposed(chance: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_steps, "_gained", lambda *judged: False)
    told = [options for options, _ in steps(replace(SETTINGS, patch_size=[5]), chance)]
    assert "--patch-size 5" not in told
    assert "--network global" in told
    compared = replace(SETTINGS, network=[Network.VANILLA, Network.AVERAGE])
    assert [options for options, _ in steps(compared, chance)][2:] == ["--patch-size 5", "--network global"]


def test_what_is_proposed_for_photographs_is_an_option_line_of_the_command(chance: ImageData) -> None:
    """Typed as it is told, it gives the settings whose time was told; two squares fill the shorter side."""
    options, (_, changes) = next(iter(next_steps._for_photographs(SETTINGS, chance).items()))
    mirrored = replace(SETTINGS, augment=[AugmentationName.FLIP])
    assert all("flip" not in told for told, _ in next_steps._for_photographs(mirrored, chance).values())
    typed = dict(zip(options.split()[::2], options.split()[1::2], strict=True))
    for option, value in typed.items():
        expected = changes[option.removeprefix("--").replace("-", "_")]
        assert value == str(expected[0] if isinstance(expected, list) else expected)
    model = replace(SETTINGS, **{**changes, "n_features": 8}).unfitted(verbose=False)
    kernel = model.fit(chance.x_train, chance.y_train).layers_[0].kernel
    assert isinstance(kernel, NNGP)
    assert kernel.architecture.grids(*chance.x_train.shape[-2:])[-1][0] == 2


@pytest.mark.parametrize("n", [120, 5000])
def test_a_gain_in_squared_error_counts_from_its_standard_error_on(n: int) -> None:
    """Which is the spread of the mean of n squares of normal numbers, here drawn."""
    errors = np.square(np.random.default_rng(0).standard_normal((400, n))).mean(1)
    spread = float(errors.std() / errors.mean())
    fixed = Quality(None, 0.1631)
    for gain, gained in ((0.0012, False), (0.9 * spread, False), (1.1 * spread, True), (-0.1, False)):
        assert next_steps._gained(fixed, Quality(None, fixed.error * (1 - gain)), n) == gained


@pytest.mark.parametrize("chosen_on", ["loo", "selection"])
def test_a_gain_is_weighed_by_the_images_that_judged_it(
    chosen_on: str, chance: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = replace(chance, selection=(chance.x_test[:7], chance.y_test[:7]))
    counted = list[int]()

    def gained(fixed: Quality, kept: Quality, n: int) -> bool:
        counted.append(n)
        return True

    monkeypatch.setattr(next_steps, "_gained", gained)
    model = SETTINGS.unfitted(verbose=False).set_params(choose_on=chosen_on)
    model.fit(data.x_train, data.y_train, selection=data.selection if chosen_on == "selection" else None)
    next_steps.next_steps(SETTINGS, model, data, None, 1.0, typed)
    assert counted == [{"loo": len(data.x_train), "selection": 7}[chosen_on]]


def test_who_asked_for_no_learning_or_gained_by_it_is_told_nothing(chance: ImageData) -> None:
    assert not steps(replace(SETTINGS, iterations=0), chance)
    assert not steps(replace(SETTINGS, iterations=2), load("bars", n_train=60, n_test=10, seed=0, sigma=1.0))


def test_features_without_an_update_may_be_more_and_see_mirror_images(chance: ImageData) -> None:
    settings = replace(
        SETTINGS, iterations=0, solver=SolverName.FEATURES, n_features=16, network=[Network.GLOBAL], patch_size=[2]
    )
    assert dict(steps(settings, chance)) == {"--augment flip": "about 1 h", "--n-features 64": "about 1 h"}
    again = replace(settings, augment=[AugmentationName.FLIP], n_features=2048)
    assert not steps(again, chance)


def parsed(command: str, monkeypatch: pytest.MonkeyPatch) -> FitSettings:
    """What the command line makes of it, which refuses options without effect."""
    found = list[FitSettings]()

    def fit(settings: FitSettings, *_: object, **__: object) -> None:
        found.append(settings)
        raise InputError("this is as far as it goes.")

    monkeypatch.setattr("convrfm.commands.fit.fit", fit)
    result = CliRunner().invoke(app, shlex.split(command)[1:])
    assert found, result.output
    return found[0]


@pytest.mark.parametrize("network", [Network.VANILLA, Network.AVERAGE, Network.GLOBAL])
@pytest.mark.parametrize("solver", [SolverName.EXACT, SolverName.FEATURES])
@pytest.mark.parametrize("iterations", [0, 1])
def test_what_is_proposed_is_taken_and_not_criticized_when_it_is_run(
    network: Network,
    solver: SolverName,
    iterations: int,
    chance: ImageData,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Above all not for the features that were proposed: without pooling each position has its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(next_steps, "_gained", lambda *judged: False)
    settings = replace(SETTINGS, iterations=iterations, solver=solver, n_features=8, network=[network], pool_size=4)
    model = settings.unfitted(verbose=False).fit(chance.x_train, chance.y_train)
    proposed = next_steps.next_steps(settings, model, chance, None, 1.0, typed)
    more = "--n-features 32" in [step.options for step in proposed]
    assert more == (solver is SolverName.FEATURES and not iterations and network is not Network.VANILLA)
    for step in proposed:
        then = parsed(step.command, monkeypatch)
        check_without_images(then, then.unfitted(verbose=False))
        _, plan, problem = then.unfitted(verbose=False)._to_be_fitted(chance.x_train, chance.y_train, None, None, None)
        firsts = [first for first, *_ in plan.candidates]
        assert not outlook.with_fewer_columns(problem.solver, firsts, problem.x.shape)


@pytest.mark.parametrize(
    ("baselines", "solver", "told"),
    [
        (False, SolverName.EXACT, "this takes some seconds for the page."),
        (True, SolverName.EXACT, "this takes baselines (less than a minute), and some seconds for the page."),
        (False, SolverName.FEATURES, "(20 s, or half as long as the rounds), and some seconds for the page."),
    ],
)
def test_what_takes_time_beside_a_fit_is_a_sentence(baselines: bool, solver: SolverName, told: str) -> None:
    said = beside_the_rounds(replace(SETTINGS, iterations=0, baselines=baselines, solver=solver))
    assert said.endswith(told)


@pytest.mark.parametrize(("seconds", "told"), [(0.3, "some seconds"), (9.0, "some seconds"), (11.0, "about 11 s")])
def test_what_takes_seconds_is_told_as_some(
    seconds: float, told: str, chance: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small runs tell no more of so short a fit."""
    monkeypatch.setattr(next_steps, "expected_seconds", lambda *asked: seconds)
    assert dict(steps(SETTINGS, chance))["--patch-size 5"] == told


@pytest.mark.parametrize("size", [5, 7])
def test_patches_are_only_proposed_where_they_are_larger(
    size: int, chance: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(next_steps, "_gained", lambda *judged: False)
    told = [options for options, _ in steps(replace(SETTINGS, patch_size=[size]), chance)]
    assert "--network global" in told
    assert "--patch-size 5" not in told
