"""The command that is told for settings gives these settings."""

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from convrfm.cli import app
from convrfm.cli.app import defaults_of
from convrfm.commands import next_steps
from convrfm.commands.choices import (
    AugmentationName,
    FirstFiltersName,
    InitialMetricName,
    KernelName,
    Network,
    SolverName,
    Unreadable,
    Validation,
)
from convrfm.commands.fit import folders_beside
from convrfm.commands.fit_settings import FitSettings
from convrfm.errors import InputError

Parse = Callable[[str], FitSettings]
OUT = Path("runs/of a person")
PHOTOGRAPHS = [dict(next_steps.PHOTOGRAPHS)]


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Parse:
    """What `convrfm fit` makes of a line before it begins."""
    found = list[tuple[FitSettings, Path]]()

    def fit(settings: FitSettings, out: Path, **_: Any) -> None:
        found.append((settings, out))
        raise InputError("that is all.")

    monkeypatch.setattr("convrfm.commands.fit.fit", fit)

    def parse(line: str) -> FitSettings:
        found.clear()
        program, *arguments = shlex.split(line)
        output = CliRunner().invoke(app, arguments).output
        assert (program, len(found)) == ("convrfm", 1), output
        (settings, out), *_ = found
        assert out == OUT
        return settings

    return parse


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"data": "photos of cats", "baselines": False, "labels": Path("a b.csv"), "image_size": 16, "center": True},
        {
            "kernel": [KernelName.LAPLACE, KernelName.NTK],
            "bandwidth": 5.5,
            "network": [Network.AVERAGE],
            "pool_size": 4,
        },
        {"deep": True, "filters": 8, "depth": [2, 3], "patch_size": [5, 3], "cv": 5, "shrinkage": [0.0, 0.5]},
        {"solver": SolverName.FEATURES, "n_features": 64, "first_filters": FirstFiltersName.PATCHES, "ridge": 1e-3},
        {"augment": [AugmentationName.FLIP], "validation": Validation.TRAIN, "unreadable": Unreadable.SKIP, "seed": 3},
        {"initial_metric": InitialMetricName.WHITENING, "iterations": 0, "memory_budget": 1 << 30, "device": "cpu"},
        {"n_train": 30, "n_test": 10, "agop_samples": 5, "sigma": 0.5, "download": True},
        *PHOTOGRAPHS,
    ],
)
def test_the_command_of_settings_gives_them_again(changes: dict[str, Any], parse: Parse) -> None:
    plain = parse(f"convrfm fit bars --out {shlex.quote(str(OUT))}")
    settings = replace(plain, **changes)
    assert parse(settings.command(OUT, defaults_of("fit"))) == settings


@pytest.mark.parametrize(
    ("idle", "acting"),
    [
        ({"agop_samples": 5, "shrinkage": [0.5]}, {"iterations": 0}),
        ({"bandwidth": 3.0}, {"kernel": [KernelName.NTK]}),
        ({"pool_size": 3, "depth": [2]}, {"network": [Network.MYRTLE_5]}),
        ({"n_features": 8, "filters": 8}, {"solver": SolverName.EXACT}),
    ],
)
def test_it_leaves_out_what_would_be_refused_as_without_effect(
    idle: dict[str, Any], acting: dict[str, Any], parse: Parse
) -> None:
    plain = replace(parse(f"convrfm fit bars --out {shlex.quote(str(OUT))}"), **acting)
    assert parse(replace(plain, **idle).command(OUT, defaults_of("fit"))) == plain


def test_runs_that_follow_get_folders_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "photos-3").mkdir()
    folders = folders_beside(tmp_path / "photos")
    assert [next(folders), next(folders)] == [tmp_path / "photos-2", tmp_path / "photos-4"]
    assert next(folders_beside(Path())) == Path.cwd().with_name(f"{Path.cwd().name}-2")
