"""What is shown at the terminal speaks of what is typed there."""

import ast
import re
import typing
from collections.abc import Collection, Iterator
from enum import Enum
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

import convrfm
from convrfm.announcements import announce
from convrfm.cli import app
from convrfm.commands.terminal import as_options, as_typed, worded
from convrfm.errors import InputError

SOURCE = Path(convrfm.__file__).parent
COMMANDS = [each.callback for each in app.registered_commands if each.callback is not None]
TYPED = {name: shown for command in COMMANDS for name, shown in as_typed(command).items() if shown.startswith("--")}
OF_PYTHON = re.compile(
    r"\(['\"]|(?<![\w\"'])[a-z]\w*=(?!NAME)|\b[A-Z]\w+\(|\bkernels\.\w|\b(?:[Pp]ass|with) [^.;:]*\b(?:None|True|False)\b"
)
PLACE = "7"  # of a value that is filled in


def message(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(message(part) for part in parts)
        case ast.BinOp(left=left, right=right):
            return message(left) + message(right)
        case ast.IfExp(body=body):
            return message(body)
    return PLACE


def messages(doors: Collection[str] = ("announce", "warn")) -> Iterator[tuple[str, str]]:
    """Every sentence that goes through these doors or is raised, and where; without what helps in Python alone."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args:
                called = ast.unparse(node.func).rpartition(".")[2]
                if called in doors or ("warn" in doors and called.endswith("Error")):
                    yield f"{path.relative_to(SOURCE)}:{node.lineno}", message(node.args[0])


MESSAGES = dict(messages())


def test_whoever_is_told_an_option_is_told_it_as_it_is_typed_and_nothing_of_python_beside_it() -> None:
    shown = {place: as_options(sentence, TYPED) for place, sentence in MESSAGES.items()}
    options = re.compile(rf"(?:{'|'.join(sorted(TYPED.values(), key=len, reverse=True))})(?![\w-])")
    assert {place: text for place, text in shown.items() if options.search(text) and OF_PYTHON.search(text)} == {}


PLURAL = re.compile(
    rf"\b{PLACE} (?:rounds|tiles|pictures|updates|layers|folds|epochs|classes|outputs|probes|files|models)\b"
)


def test_what_is_announced_counts_one_thing_as_one() -> None:
    """Numbers are told by `counted`, but for those of images, of which there are always several."""
    said = dict(messages(("announce", "remark", "say")))
    assert said
    assert {place: text for place, text in said.items() if PLURAL.search(text)} == {}
    assert PLURAL.search(message(ast.parse("f'fitting {n} rounds'", mode="eval").body))


def test_a_message_that_mixes_both_would_be_found() -> None:
    mixed = as_options("Pass patch_size=3, or padding='same'.", TYPED)
    assert mixed == "Pass --patch-size 3, or padding='same'."
    assert OF_PYTHON.search(mixed)
    assert OF_PYTHON.search("Pass --kernel ntk, or an NNGP with Rbf().")
    assert OF_PYTHON.search("Pass --patch-normalization None.")
    assert OF_PYTHON.search("--augment must be of flip and shift; got ('flip', 'flip').")
    assert len(MESSAGES) > 250


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_parameters_are_typed_as_help_shows_them(command: typer.models.CommandFunctionType) -> None:
    shown = re.sub("\x1b.*?m", "", CliRunner().invoke(app, [command.__name__, "--help"], env={"COLUMNS": "120"}).output)
    wanted = set(as_typed(command).values())
    assert {typed for typed in wanted if not re.search(rf"(?<![\w-]){typed}(?![\w-])", shown, re.IGNORECASE)} == set()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            "bars --kernel laplace --patch-normalization contrast",
            "Pass one of these kernels, or no --patch-normalization.",
        ),
        ("bars --kernel laplace --solver features", "or --solver exact"),
        ("bars --patch-size 40", "Pass larger images, or use a smaller --patch-size or fewer layers."),
        ("bars --network myrtle5", "Pass larger images, or use less pooling."),
        ("bars --n-train 20 --cv 50", "--cv must be at most 10"),
        ("bars --deep --network myrtle5", "pass --network vanilla, average or global, or leave out --deep"),
        ("bars --n-train 20 --agop-samples 30", "--agop-samples must lie between 1 and the 20"),
        ("bars --device abacus", "--device must be"),
        ("star --sigma 2", "--sigma belongs to"),
        (
            "bars --augment flip --augment flip",
            '--augment must be of "flip" and "shift", each at most once; got \'flip\' and',
        ),
        ("bars --shrinkage 1", "to below 1 (M stays what it was), one number or several; got 1.0."),
        ("bars --solver cg --augment flip", "Pass --solver exact or --solver features, and no --workers."),
        ("bars --solver exact --workers 2", "pass --solver cg, or no --workers."),
        ("bars --workers 2 --augment flip", "cannot leave out images with their copies (--augment ...)"),
    ],
)
def test_refusals_of_a_fit_name_options(arguments: str, expected: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["fit", *arguments.split(), "--out", str(tmp_path), "--quiet"], terminal_width=200)
    assert result.exit_code == 2, result.output
    said = " ".join(result.output.split())
    assert expected in said
    assert not OF_PYTHON.search(said)


@pytest.mark.parametrize(
    "arguments",
    [
        "--kernel laplace --patch-normalization contrast",
        "--deep --kernel laplace --patch-normalization contrast",
        "--kernel gaussian --kernel ntk --solver features",
        "--solver cg --augment flip",
        "--workers 2 --augment flip",
        "--workers 2 --solver exact",
        "--workers 2 --solver features",
        "--augment flip --augment flip",
        "--shrinkage 1",
        "--shrinkage 0 --shrinkage 0.5 --validation train",
        "--first-filters patches",
        "--deep --network myrtle5",
        "--kernel laplace --bandwidth 0",
        "--scheduler tcp://127.0.0.1:1",
        "--device abacus",
    ],
)
def test_what_no_images_make_possible_is_refused_before_they_are_read(
    arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("convrfm.datasets.load")
    result = CliRunner().invoke(app, ["fit", "bars", *arguments.split(), "--out", str(tmp_path / "run")])
    assert result.exit_code == 2, result.output
    assert not (tmp_path / "run").exists()


def test_announcements_and_remedies_in_python_alone_are_left_to_python(capsys: pytest.CaptureFixture[str]) -> None:
    @worded
    def command(agop_samples: int = 0) -> None:
        announce("With agop_samples=9 it is quicker.")
        raise InputError("Images are too small.", in_python='Or pass padding="same".')

    with pytest.raises(typer.Exit):
        command()
    said = capsys.readouterr().err
    assert "With --agop-samples 9 it is quicker." in said
    assert "padding" not in said
    announce("With agop_samples=9 it is quicker.")
    assert "agop_samples=9" in capsys.readouterr().err
    assert str(InputError("Small.", in_python="Pad.")) == "Small. Pad."


OF_TORCHVISION = [
    "fit torchvision:MNIST",
    "train vanilla torchvision:MNIST",
    "cnfa convrfm.networks:resnet20 torchvision:MNIST",
    "predict MODEL torchvision:MNIST",
    "kernel torchvision:MNIST",
    "kernel bars --n-train 4 --against torchvision:MNIST",
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    data = convrfm.datasets.load("bars", n_train=8)
    fitted = convrfm.ConvRFMClassifier(convrfm.kernels.Laplace(3), n_iterations=0).fit(data.x_train, data.y_train)
    fitted.save(tmp_path / "model", preprocessing=data.preprocessing)
    return tmp_path / "model"


@pytest.mark.parametrize("arguments", OF_TORCHVISION)
def test_data_that_are_not_there_may_be_fetched_by_every_command(
    arguments: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(root: str, *, download: bool, **_: object) -> None:
        raise RuntimeError(f"download {download}.")

    monkeypatch.setattr(pytest.importorskip("torchvision.datasets"), "MNIST", absent)
    monkeypatch.chdir(tmp_path)
    typed = arguments.replace("MODEL", str(model)).split()
    for further, expected in (
        ([], "got: download False. Pass --download."),
        (["--download"], "got: download True. Look"),
    ):
        refused = CliRunner().invoke(app, [*typed, *further, "--out", str(tmp_path / "out")], terminal_width=200)
        assert refused.exit_code == 2
        assert expected in " ".join(refused.output.split())


@pytest.mark.parametrize("arguments", ["fit", "train vanilla", "kernel"])
@pytest.mark.parametrize("what", ["loose pictures", "a table"])
def test_labels_in_a_table_are_for_fits(arguments: str, what: str, tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "1.png")
    (tmp_path / "table.csv").write_text("name,label\n1,a\n")
    data = tmp_path if what == "loose pictures" else tmp_path / "table.csv"
    refused = CliRunner().invoke(app, [*arguments.split(), str(data), "--out", str(tmp_path / "out")])
    assert refused.exit_code == 2
    said = " ".join(refused.output.split())
    assert re.search(
        r"to predict, with the table: --labels '/|fit with a table of file names and labels: --labels", said
    )
    assert not OF_PYTHON.search(said)


def test_a_lack_of_memory_is_told_with_options_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    @worded
    def of_images(n_images: int = 1, image_size: int = 1) -> None:
        raise MemoryError("8 GiB")

    @worded
    def of_none() -> None:
        raise MemoryError("8 GiB")

    for command, expected in (
        (of_images, "Take fewer images (--n-images), or smaller ones (--image-size). 8 GiB"),
        (of_none, "Take fewer images, or smaller ones. 8 GiB"),
    ):
        with pytest.raises(typer.Exit):
            command()
        assert expected in capsys.readouterr().err


def choosing() -> Iterator[tuple[str, str, list[str]]]:
    """Every command with each of its options that chooses from a few, and what from."""
    for command in COMMANDS:
        typed = as_typed(command)
        for name, kind in typing.get_type_hints(command).items():
            for few in (kind, *typing.get_args(kind)):
                if isinstance(few, type) and issubclass(few, Enum):
                    yield command.__name__, typed[name], [str(each.value) for each in few]


@pytest.mark.parametrize(("command", "option", "few"), list(choosing()))
def test_who_chooses_what_there_is_not_is_told_what_there_is(command: str, option: str, few: list[str]) -> None:
    refused = CliRunner().invoke(app, [command, option, "elsewhere"], env={"COLUMNS": "400"})
    assert refused.exit_code == 2
    assert option in refused.output
    assert "'elsewhere' is not one of " + ", ".join(map(repr, few)) in refused.output
