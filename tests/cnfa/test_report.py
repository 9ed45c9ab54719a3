"""Reports as tables and on disk."""

import copy
import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from convrfm import cnfa
from convrfm.errors import InputError, ModelFileError


@pytest.fixture(scope="module")
def report() -> cnfa.Report:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)
    )
    with pytest.warns(UserWarning, match="the network's own weights"):
        return cnfa.measure(network, torch.randn(8, 3, 6, 6), initial=copy.deepcopy(network.state_dict()), probes=4)


def test_layers_come_in_forward_order_by_name(report: cnfa.Report) -> None:
    assert [layer.name for layer in report] == ["0", "2", "5"]
    assert report["2"].groups == 4
    with pytest.raises(InputError, match="no layer '7'; it has 0, 2, 5"):
        report["7"]


def test_frame_has_a_row_per_layer_and_a_column_per_number(report: cnfa.Report) -> None:
    frame = report.to_frame()
    assert list(frame.index) == ["0", "2", "5"]
    trained = report["0"].correlations.trained
    assert frame.loc["0", "trained_cosine"] == trained.cosine.value
    assert frame.loc["0", "trained_cosine_low"] == trained.cosine.interval[0]
    assert frame.loc["0", "rotated_pearson_half"] == report["0"].correlations.rotated.pearson_half.value
    assert frame.loc["0", "change_cosine"] != frame.loc["0", "change_cosine"]


def test_json_is_strict_and_complete(report: cnfa.Report, tmp_path: Path) -> None:
    report.to_json(tmp_path / "report.json")
    data = json.loads((tmp_path / "report.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert (
        data["layers"][0]["correlations"]["trained"]["cosine"]["value"] == report["0"].correlations.trained.cosine.value
    )
    assert data["layers"][0]["correlations"]["change"]["cosine"]["value"] is None


def test_what_a_layer_without_filters_does_not_have_is_nan_again_when_it_is_loaded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Conv2d(3, 3, 3), nn.Flatten(), nn.Linear(12, 2))
    with torch.no_grad():
        network[2].weight.zero_()
    zero = cnfa.measure(network, torch.randn(3, 1, 6, 6), resamples=0)
    zero.save(tmp_path)
    assert math.isnan(zero["2"].effective_ranks["cnfm"])
    loaded = cnfa.Report.load(tmp_path)
    assert [str(layer.effective_ranks) for layer in loaded] == [str(layer.effective_ranks) for layer in zero]


def test_saving_and_loading_changes_nothing(report: cnfa.Report, tmp_path: Path) -> None:
    report.save(tmp_path / "saved")
    loaded = cnfa.Report.load(tmp_path / "saved")
    assert json.dumps(loaded.to_dict()) == json.dumps(report.to_dict())
    for before, after in zip(report, loaded, strict=True):
        assert torch.equal(before.agop, after.agop)
        assert torch.equal(before.initial_cnfm, after.initial_cnfm)
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == ["layers.safetensors", "report.json"]


def test_damaged_reports_are_refused(report: cnfa.Report, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="does not hold a saved report"):
        cnfa.Report.load(tmp_path)
    report.save(tmp_path)
    (tmp_path / "report.json").write_text('{"format": 99}')
    with pytest.raises(ModelFileError, match="format 99; this version reads format 2"):
        cnfa.Report.load(tmp_path)
    report.save(tmp_path)
    (tmp_path / "layers.safetensors").write_bytes(b"junk")
    with pytest.raises(ModelFileError, match="does not hold a saved report"):
        cnfa.Report.load(tmp_path)


def test_eigenvectors_are_those_of_the_matrices(report: cnfa.Report) -> None:
    for name in ("cnfm", "agop"):
        values, patches = report["0"].eigenvectors(name, 3)
        assert patches.shape == (3, 3, 3, 3)
        matrix = report["0"].cnfm if name == "cnfm" else report["0"].agop
        vectors = patches.flatten(1).to(matrix)
        torch.testing.assert_close(matrix @ vectors.T, vectors.T * values.to(matrix), rtol=1e-4, atol=1e-5)
    values, patches = report["2"].eigenvectors("agop", 2)
    assert values.shape == (4, 1)
    assert patches.shape == (4, 1, 1, 3, 3)
    with pytest.raises(InputError, match='"cnfm" or "agop"'):
        report["0"].eigenvectors("hessian", 1)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_correlations_of_groups_are_those_of_their_blocks(groups: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(6, 12, 3, groups=groups), nn.Tanh(), nn.Flatten(), nn.Linear(48, 3)).double()
    with torch.no_grad():
        network[0].weight[: 12 // groups] = 0
    layer = cnfa.measure(network, torch.randn(6, 6, 4, 4, dtype=torch.float64), rotations=0)["0"]
    found = layer.group_correlations
    pairs = zip(layer.cnfm.reshape(groups, -1), layer.agop.reshape(groups, -1), strict=True)
    for group, (cnfm, agop) in enumerate(pairs):
        if group == 0:
            assert found.cosine[0].isnan()
            continue
        assert float(found.cosine[group]) == pytest.approx(float(cnfm @ agop / (cnfm.norm() * agop.norm())), abs=1e-10)
        expected = torch.corrcoef(torch.stack((cnfm, agop)))[0, 1]
        assert float(found.pearson[group]) == pytest.approx(float(expected), abs=1e-10)


def test_factors_multiply_to_the_matrices(report: cnfa.Report) -> None:
    for layer in report:
        for name, matrix in (("cnfm", layer.cnfm), ("agop", layer.agop)):
            factor = layer.factor(name)
            torch.testing.assert_close(
                (factor.mT @ factor).reshape(matrix.shape).to(matrix), matrix, rtol=1e-4, atol=1e-5
            )


def test_without_the_power_one_half_the_other_figures_stay(tmp_path: Path) -> None:
    network, start = (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)) for _ in "ab")
    images = torch.randn(6, 3, 6, 6)
    both = cnfa.measure(network, images, initial=start, probes=3)
    alone = cnfa.measure(network, images, initial=start, probes=3, half_power=False)
    assert not [column for column in alone.to_frame() if "half" in column]
    frame = both.to_frame()
    assert (alone.to_frame()["trained_pearson"] == frame["trained_pearson"]).all()
    alone.save(tmp_path)
    assert json.dumps(cnfa.Report.load(tmp_path).to_dict()) == json.dumps(alone.to_dict())


def test_tables_end_with_what_was_left_out(report: cnfa.Report) -> None:
    report = replace(report, skipped=(cnfa.Skipped("cell", "lstm", "it is recurrent"),))
    frame = report.to_frame()
    assert list(frame.index) == [*(layer.name for layer in report), "cell"]
    assert frame.loc["cell", "left_out"] == "it is recurrent"
    assert frame["left_out"].isna().sum() == len(report.layers)
    assert report.to_csv().splitlines()[-1].startswith("cell,lstm,")


@pytest.mark.parametrize("name", ['=HYPERLINK("http://x")', "+1+1", "-2+3", "@SUM(A1)", "\tx", "\rx"])
def test_layers_named_like_formulas_are_texts_in_the_table(report: cnfa.Report, name: str) -> None:
    layers = (replace(report["0"], name=name), *report.layers[1:])
    report = replace(report, layers=layers, skipped=(cnfa.Skipped(name, "lstm", name),))
    first, *_, last = csv.DictReader(io.StringIO(report.to_csv(), newline=""))
    assert first["name"] == last["name"] == last["left_out"] == f"'{name}"
    assert float(first["trained_cosine"]) == report[name].correlations.trained.cosine.value
    assert first["left_out"] == last["trained_cosine"] == ""
