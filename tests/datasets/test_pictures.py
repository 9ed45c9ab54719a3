"""Whatever a picture file holds becomes one upright array from black 0 to white 255."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from convrfm.datasets.pictures import SUFFIXES, read_first_frame, read_picture, resize, with_channels
from convrfm.errors import InputError

COLORS = np.random.default_rng(0).integers(256, size=(6, 8, 3), dtype=np.uint8)


def written(path: Path, image: Image.Image, **options: object) -> np.ndarray:
    image.save(path, **options)
    return read_picture(path)


def test_color_becomes_three_channels_and_gray_one(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    np.testing.assert_array_equal(written(path, Image.fromarray(COLORS)), np.moveaxis(COLORS, -1, 0))
    gray = COLORS[..., 0]
    np.testing.assert_array_equal(written(path, Image.fromarray(gray)), gray[None])
    np.testing.assert_array_equal(written(path, Image.fromarray(gray).convert("RGB")), gray[None])
    np.testing.assert_array_equal(written(path, Image.fromarray(gray > 99)), (gray > 99)[None] * 255)


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([200, 10, 20, 30, 40, 250])
    image.putpixel((1, 0), 1)
    assert written(tmp_path / "a.png", image)[:, 0].T.tolist() == [[200, 10, 20], [30, 40, 250]]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_keep_their_steps_between_0_and_255(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 1, 32768, 65535]], np.uint16)
    read = written(tmp_path / f"a.{suffix}", Image.fromarray(values))
    np.testing.assert_allclose(read[0] * 257, values, atol=0.01)


@pytest.mark.parametrize("white", [300, 4095, 65535])
@pytest.mark.parametrize("magic", ["P2", "P5"])
def test_gray_maps_of_more_than_8_bits_are_scaled_by_their_own_white(tmp_path: Path, magic: str, white: int) -> None:
    dark, light = [0, 1, 30, 200], [0, 1, white // 2, white]
    for values in (dark, light):
        pixels = " ".join(map(str, values)).encode() if magic == "P2" else np.array(values, ">u2").tobytes()
        (tmp_path / "a.pgm").write_bytes(f"{magic}\n4 1\n{white}\n".encode() + pixels)
        read = read_picture(tmp_path / "a.pgm")
        np.testing.assert_allclose(read[0, 0], np.array(values) * 255 / white, atol=0.01)


def written_tiff(path: Path, tags: dict[int, int], pixels: bytes) -> np.ndarray:
    """A row of four pixels in little-endian bytes, with these tags beside those that say where they are."""
    tags = {256: 4, 257: 1, 259: 1, 273: 8, 277: 1, 278: 1, 279: len(pixels)} | tags
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in sorted(tags.items()))
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + directory)
    return read_picture(path)


def test_twelve_bits_of_a_tiff_become_0_to_255(tmp_path: Path) -> None:
    read = written_tiff(tmp_path / "a.tif", {258: 12, 262: 1}, bytes.fromhex("000001800fff"))  # 0, 1, 2048, 4095
    np.testing.assert_allclose(read[0, 0], np.array([0, 1, 2048, 4095]) * 255 / 4095, rtol=1e-6)


@pytest.mark.parametrize(
    ("tags", "kind", "white"),
    [({258: 8}, "u1", 255), ({258: 16}, "<u2", 65535), ({258: 32, 339: 3}, "<f4", 1)],
    ids=["8 bits", "16 bits", "floats"],
)
def test_a_tiff_says_whether_0_is_black_or_white(tmp_path: Path, tags: dict[int, int], kind: str, white: int) -> None:
    values = np.array([0, 0.2, 0.6, 1])
    for zero_is_black in (0, 1):
        pixels = (values * white).astype(kind).tobytes()
        read = written_tiff(tmp_path / "a.tif", tags | {262: zero_is_black}, pixels)
        np.testing.assert_allclose(read[0, 0] / 255, values if zero_is_black else 1 - values, atol=1e-5)


@pytest.mark.parametrize("photometric", [1, 2], ids=["gray", "colors"])
def test_channels_that_would_not_be_read_are_not_lost(tmp_path: Path, photometric: int) -> None:
    channels = 2 * photometric
    with pytest.raises(InputError, match=rf"it has {channels} channels, of which only .* \.npz file\.$"):
        written_tiff(tmp_path / "a.tif", {258: 8, 262: photometric, 277: channels, 338: 0}, bytes(4 * channels))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_are_white(tmp_path: Path, mode: str) -> None:
    image = Image.new(mode, (3, 1), "black")
    image.putalpha(Image.fromarray(np.array([[0, 51, 255]], np.uint8)))
    assert written(tmp_path / "a.png", image).tolist() == [[[255, 204, 0]]]


def test_a_transparent_palette_entry_is_white(tmp_path: Path) -> None:
    image = Image.new("P", (1, 1))
    image.putpalette([200, 10, 20])
    assert written(tmp_path / "a.png", image, transparency=0).tolist() == [[[255]]]


def test_a_transparent_value_of_sixteen_bits_is_white(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 300, 301, 65535]], np.uint16))
    read = written(tmp_path / "a.png", image, transparency=300)
    np.testing.assert_allclose(read[0, 0] * 257, [0, 65535, 301, 65535], atol=0.01)


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise by a quarter
    read = written(tmp_path / "a.png", Image.fromarray(COLORS), exif=exif)
    np.testing.assert_array_equal(read, np.moveaxis(np.rot90(COLORS, -1), -1, 0))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_plain_tiff_of_a_turned_camera_is_not_garbled(tmp_path: Path, kind: type) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(COLORS[..., 0] * kind(np.iinfo(kind).max // 255))
    read = written(tmp_path / "a.tif", image, exif=exif)
    np.testing.assert_allclose(read[0], np.rot90(COLORS[..., 0], -1), atol=1e-3)


WIDE = [
    (np.array([[0, 7, 255]], np.int32), [0, 7, 255]),
    (np.array([[0.0, 0.25, 1.0]], np.float32), [0, 63.75, 255]),
]


@pytest.mark.parametrize(("values", "expected"), WIDE)
def test_integers_of_32_bits_are_bytes_and_floats_are_fractions(tmp_path: Path, values: Any, expected: list) -> None:
    np.testing.assert_allclose(written(tmp_path / "a.tif", Image.fromarray(values))[0, 0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    "values", [np.array([[0, 256]], np.int32), np.array([[0, 1.5]], "f4"), np.array([[np.nan]], "f4")]
)
def test_values_without_an_agreed_white_are_refused(tmp_path: Path, values: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"its values must be from 0 to (255|1).*Save it with 8 or 16 bits"):
        written(tmp_path / "a.tif", Image.fromarray(values))


@pytest.mark.parametrize("kind", ["gif", "tif", "png", "webp"])
def test_frames_and_pages_are_counted_and_the_first_is_read(tmp_path: Path, kind: str) -> None:
    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (10, 120, 240)]
    frames[0].save(tmp_path / f"a.{kind}", save_all=True, append_images=frames[1:])
    picture, count = read_first_frame(tmp_path / f"a.{kind}")
    assert count == 3
    np.testing.assert_allclose(picture, 10, atol=3)


def test_the_previews_in_a_camera_s_file_are_no_frames(tmp_path: Path) -> None:
    frames = [Image.fromarray(COLORS), Image.fromarray(COLORS[:3])]
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:])
    assert read_first_frame(tmp_path / "a.jpg")[1] == 1


@pytest.mark.parametrize("kind", ["jfif", "avif", "jp2", "webp"])
def test_the_suffixes_of_cameras_and_of_the_web_are_pictures(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(path)
    np.testing.assert_allclose(read_picture(path), 200, atol=2)
    assert path.suffix in SUFFIXES


def test_a_photograph_that_needs_a_plugin_says_which(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(InputError, match="pip install pillow-heif"):
        read_picture(tmp_path / "a.heic")


def test_a_document_that_draws_by_running_code_is_no_picture(tmp_path: Path) -> None:
    Image.fromarray(COLORS).save(tmp_path / "a.eps")
    with pytest.raises(InputError, match="cannot identify"):
        read_picture((tmp_path / "a.eps").rename(tmp_path / "a.png"))


def test_long_texts_in_a_picture_have_a_remedy(tmp_path: Path) -> None:
    texts = PngInfo()
    texts.add_text("comment", "a" * (2 << 20), zip=True)
    with pytest.raises(InputError, match="without its texts"):
        written(tmp_path / "a.png", Image.fromarray(COLORS), pnginfo=texts)


def test_a_decompression_bomb_is_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with pytest.raises(InputError, match=r"cannot be read as a picture.*bomb.*Make it smaller"):
        written(tmp_path / "a.png", Image.fromarray(COLORS))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"])
def test_a_truncated_file_is_refused_in_words(tmp_path: Path, kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.tile(COLORS, (8, 8, 1))).save(buffer, kind)
    path = tmp_path / "a.png"
    for length in (0, 5, buffer.tell() // 2):
        path.write_bytes(buffer.getvalue()[:length])
        with pytest.raises(InputError, match=r"a\.png cannot be read as a picture"):
            read_picture(path)


def test_resizing_keeps_the_center_of_the_longer_side() -> None:
    wide = np.repeat(np.arange(12.0, dtype=np.float32), 2)[None, None].repeat(8, axis=1)
    half = resize(wide, (4, 4))
    assert half.shape == (1, 4, 4)
    np.testing.assert_allclose(half[0, 0], [4, 5, 6, 7], atol=0.3)


def test_resizing_neither_overshoots_nor_touches_what_fits() -> None:
    edge = np.zeros((1, 9, 9), np.uint8)
    edge[..., 4:] = 255
    assert resize(edge, (9, 9)) is edge
    larger = resize(edge, (20, 20))
    assert (larger.min(), larger.max()) == (0, 255)


def test_gray_is_repeated_and_color_becomes_brightness() -> None:
    gray = np.full((1, 2, 2), 7, np.uint8)
    np.testing.assert_array_equal(with_channels(gray, 3), np.full((3, 2, 2), 7))
    color = np.moveaxis(COLORS, -1, 0)
    luma = np.asarray(Image.fromarray(COLORS).convert("L"))
    np.testing.assert_allclose(with_channels(color, 1)[0], luma, atol=1)
    with pytest.raises(InputError, match="must have 3 channels; got 2"):
        with_channels(np.zeros((2, 2, 2)), 3)
