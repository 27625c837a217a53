"""What the cases of tests/bad_input/wrong_inputs.yaml find in their folder, made anew for each of them."""

import atexit
import contextlib
import gzip
import json
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from command_line import run_command
from sounds import levels, tone, tone_folder, write_wav

RECIPES = {
    "vae.yaml": "model:\n  family: vae\n  size: tiny\ndata:\n  source: digits\ntraining:\n  num_steps: 20\n",
    "cnn.yaml": "model:\n  family: cnn\n  size: tiny\ndata:\n  source: digits\ntraining:\n  num_steps: 20\n",
    "linear.yaml": "model:\n  family: linear\ndata:\n  source: digits\n",
}
"""In each folder: three recipes that nothing is wrong with."""

Prepare = Callable[[Path], None]


@cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits as bytes (N, 8, 8) in 0..255, and their labels."""
    bunch = load_digits()
    return (bunch.images * 15).astype(np.uint8), bunch.target.astype(np.int64)


def write_recipes(folder: Path) -> None:
    for name, text in RECIPES.items():
        (folder / name).write_text(text)


def nothing(folder: Path) -> None:
    """Nothing but the recipes."""


def pictures(folder: Path, num_classes: int = 2) -> None:
    """pictures/a, pictures/b: 20 grey digits of 8 x 8 each."""
    images, labels = digits()
    for label in range(num_classes):
        place = folder / "pictures" / "abcdefghij"[label]
        place.mkdir(parents=True)
        for number, image in enumerate(images[labels == label][:20]):
            Image.fromarray(image).save(place / f"{number}.png")


def empty_folder(folder: Path) -> None:
    (folder / "pictures").mkdir()


def truncated_picture(folder: Path) -> None:
    pictures(folder)
    file = folder / "pictures" / "a" / "3.png"
    file.write_bytes(file.read_bytes()[:60])


def empty_picture(folder: Path) -> None:
    pictures(folder)
    (folder / "pictures" / "a" / "3.png").write_bytes(b"")


def note_among_pictures(folder: Path) -> None:
    pictures(folder)
    (folder / "pictures" / "a" / "notes.txt").write_text("taken in May\n")


def mixed_sizes(folder: Path) -> None:
    pictures(folder)
    Image.new("L", (9, 8)).save(folder / "pictures" / "b" / "3.png")


def transparent_picture(folder: Path) -> None:
    pictures(folder)
    Image.new("RGBA", (8, 8), (255, 0, 0, 40)).save(folder / "pictures" / "b" / "3.png")


def deep_picture(folder: Path) -> None:
    pictures(folder)
    Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(folder / "pictures" / "b" / "3.png")


def animation(folder: Path) -> None:
    pictures(folder)
    frames = [Image.new("L", (8, 8), level) for level in (0, 128, 255)]
    frames[0].save(folder / "pictures" / "b" / "3.gif", save_all=True, append_images=frames[1:])


def one_class(folder: Path) -> None:
    pictures(folder, num_classes=1)


def pictures_beside_classes(folder: Path) -> None:
    pictures(folder)
    Image.new("L", (8, 8)).save(folder / "pictures" / "stray.png")


def save_npz(folder: Path, **arrays: np.ndarray) -> None:
    np.savez(folder / "digits.npz", **arrays)


def unlabelled(folder: Path) -> None:
    save_npz(folder, train_images=digits()[0][:400])


def own_test_split(folder: Path) -> None:
    images, _ = digits()
    save_npz(folder, train_images=images[:300], test_images=images[300:400])


def pickled_array(folder: Path) -> None:
    images = np.empty(3, dtype=object)
    images[:] = [np.zeros((8, 8)), np.zeros((8, 9)), np.zeros((8, 8))]
    np.savez(folder / "digits.npz", train_images=images, allow_pickle=True)


def wrong_keys(folder: Path) -> None:
    save_npz(folder, x_train=digits()[0][:100], y_train=digits()[1][:100])


def misspelt_key(folder: Path) -> None:
    save_npz(folder, train_images=digits()[0][:100], train_label=digits()[1][:100])


def labels_out_of_step(folder: Path) -> None:
    save_npz(folder, train_images=digits()[0][:100], train_labels=digits()[1][:99])


def scaled_floats(folder: Path) -> None:
    save_npz(folder, train_images=(digits()[0][:100] / 255).astype(np.float32))


def pixels_without_values(folder: Path) -> None:
    """Of the fourth picture of the test split the first two pixels are missing."""
    images = digits()[0][:120].astype(np.float32)
    images[103, 0, :2] = np.nan
    save_npz(folder, train_images=images[:100], test_images=images[100:])


def ambiguous_shape(folder: Path) -> None:
    save_npz(folder, train_images=digits()[0][:120, :3, :3].reshape(40, 3, 3, 3))


def labels_too_large(folder: Path) -> None:
    labels = digits()[1][:100].astype(np.uint64) + np.uint64(2**63)
    save_npz(folder, train_images=digits()[0][:100], train_labels=labels)


def npz_cut_short(folder: Path) -> None:
    save_npz(folder, train_images=digits()[0][:100])
    file = folder / "digits.npz"
    file.write_bytes(file.read_bytes()[:2000])


def npy_file(folder: Path) -> None:
    np.save(folder / "digits.npy", digits()[0][:100])


def small_npz(folder: Path) -> None:
    save_npz(folder, train_images=digits()[0][:60], train_labels=digits()[1][:60] % 2)


def tiny_pictures(folder: Path) -> None:
    save_npz(folder, train_images=digits()[0][:400, 3:5, 3:5], train_labels=digits()[1][:400] % 2)


def wide_pictures(folder: Path) -> None:
    save_npz(folder, train_images=np.pad(digits()[0][:100], ((0, 0), (0, 0), (1, 1))))


def idx_cut_short(folder: Path) -> None:
    images, labels = digits()
    header = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in (100, 8, 8))
    (folder / "train-images-idx3-ubyte").write_bytes(header + images[:100].tobytes()[:-500])
    labelled = bytes([0, 0, 8, 1]) + (100).to_bytes(4, "big") + labels[:100].astype(np.uint8).tobytes()
    (folder / "train-labels-idx1-ubyte").write_bytes(labelled)


def idx_labels_alone(folder: Path) -> None:
    idx_cut_short(folder)
    place = folder / "mnist"
    place.mkdir()
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (folder / name).rename(place / name)
    shutil.copy(place / "train-labels-idx1-ubyte", place / "t10k-labels-idx1-ubyte")


_ROWS = [
    f"{height},{height / 2 + shift},{name}" for height in range(1, 31) for shift, name in ((0, "a"), (9, "b"))
]


def table(folder: Path) -> None:
    (folder / "table.csv").write_text("\n".join(["height,width,label", *_ROWS]) + "\n")


def table_with_text_cell(folder: Path) -> None:
    rows = [*_ROWS[:4], "tall,3.5,a", *_ROWS[4:]]
    (folder / "table.csv").write_text("\n".join(["height,width,label", *rows]) + "\n")


def ragged_table(folder: Path) -> None:
    rows = [*_ROWS[:4], "3,3.5,a,9", *_ROWS[4:]]
    (folder / "table.csv").write_text("\n".join(["height,width,label", *rows]) + "\n")


def table_without_labels(folder: Path) -> None:
    rows = [row.rpartition(",")[0] for row in _ROWS]
    (folder / "table.csv").write_text("\n".join(["height,width", *rows]) + "\n")


_REVIEWS = [f"{name} film number {number}\t{name}" for number in range(20) for name in ("good", "bad")]


def reviews(folder: Path, rows: Sequence[str] = _REVIEWS) -> None:
    """reviews.tsv: 40 texts of two classes."""
    (folder / "reviews.tsv").write_text("\n".join(["review\tlabel", *rows]) + "\n")


def empty_text(folder: Path) -> None:
    reviews(folder, [*_REVIEWS[:3], " \tgood", *_REVIEWS[3:]])


def text_without_label_cell(folder: Path) -> None:
    reviews(folder, [*_REVIEWS[:3], "no verdict", *_REVIEWS[3:]])


def text_in_latin_1(folder: Path) -> None:
    text = "\n".join(["review\tlabel", *_REVIEWS, "un film détesté\tbad"])
    (folder / "reviews.tsv").write_bytes(text.encode("latin-1"))


def open_quote(folder: Path) -> None:
    rows = [*_REVIEWS[:3], '"never closed\tgood', *_REVIEWS[3:]]
    (folder / "reviews.csv").write_text("\n".join(["review\tlabel", *rows]).replace("\t", ","))


def faulty_pairs(folder: Path) -> None:
    """pairs.jsonl: two pairs that are right, and four lines that are not."""
    lines = ['{"source": "un", "target": "one"}', '{"source": "deux", "target": "two"}']
    lines += ['{"sorce": "trois", "target": "three"}', '{"source": "quatre", "target": " "}']
    lines += ['{"source": "cinq", "target": 5}', '{"source": "six"']
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n")


def pair_table(folder: Path) -> None:
    (folder / "pairs.tsv").write_text("francais\tenglish\nun\tone\ndeux\ttwo\n")


def damaged_gzip(folder: Path) -> None:
    packed = gzip.compress("\n".join(["height,width,label", *_ROWS]).encode())
    (folder / "table.csv.gz").write_bytes(packed[: len(packed) // 2])


def existing_file(folder: Path) -> None:
    (folder / "splits.npz").write_bytes(b"mine")


def binary_recipe(folder: Path) -> None:
    (folder / "binary.yaml").write_bytes(b"model:\n  family: \xff\xfe\n")


def texts(folder: Path) -> None:
    (folder / "h.txt").write_text("le chat dort\nil pleut\n")
    (folder / "r.txt").write_text("le chat dort\nil neige\n")
    (folder / "short.txt").write_text("le chat dort\n")
    (folder / "latin.txt").write_bytes("le chat dort\nl'été\n".encode("latin-1"))


def two_sources(folder: Path) -> None:
    """made and real: 20 grey digits each; others, wide, colour and few differ; weights.pth is none."""
    images, _ = digits()
    sources = {
        "made": images[:20],
        "real": images[20:40],
        "wide": np.pad(images[:20], ((0, 0), (0, 0), (1, 1))),
        "others": np.pad(images[20:40], ((0, 0), (0, 0), (1, 1))),
        "colour": np.stack([images[40:60], images[40:60] // 2, images[60:80]], axis=-1),
        "few": images[40:43],
    }
    for name, pixels in sources.items():
        (folder / name).mkdir()
        for number, image in enumerate(pixels):
            Image.fromarray(image).save(folder / name / f"{number}.png")
    (folder / "weights.pth").write_bytes(b"not those of Inception")


@cache
def trained_once(recipe: str, *words: str) -> Path:
    """A run of a recipe, made once and copied into the folder of each case that needs it."""
    place = Path(tempfile.mkdtemp(prefix="creuset-run-"))
    atexit.register(shutil.rmtree, place)
    write_recipes(place)
    run = place / "runs" / recipe.removesuffix(".yaml")
    answer = run_command(["train", str(place / recipe), "--no-eval", "--name", str(run), *words])
    assert answer.exit_code == 0, answer.stderr
    return run


def trained(folder: Path, recipe: str = "vae.yaml") -> None:
    """runs/NAME: a run of the recipe of that name."""
    run = trained_once(recipe)
    shutil.copytree(run, folder / "runs" / run.name)


def trained_cnn(folder: Path) -> None:
    trained(folder, "cnn.yaml")


def measured_cnn(folder: Path) -> None:
    """The run cnn with its scores."""
    trained_cnn(folder)
    assert run_command(["eval", "cnn"]).exit_code == 0


def trained_linear(folder: Path) -> None:
    trained(folder, "linear.yaml")


def damaged_checkpoint(folder: Path) -> None:
    trained(folder)
    for file in (folder / "runs" / "vae" / "checkpoints").glob("*/weights.safetensors"):
        content = bytearray(file.read_bytes())
        content[-100] ^= 1
        file.write_bytes(content)


def missing_weights(folder: Path) -> None:
    trained(folder)
    for file in (folder / "runs" / "vae" / "checkpoints").glob("*/weights.safetensors"):
        file.unlink()


def checkpoint_of_another_model(folder: Path) -> None:
    """The checkpoints of a wider VAE under the recipe of the small one."""
    trained(folder)
    own = folder / "runs" / "vae" / "checkpoints"
    shutil.rmtree(own)
    shutil.copytree(trained_once("vae.yaml", "--set", "model.latent_dim=9") / "checkpoints", own)


def damaged_manifest(folder: Path) -> None:
    trained(folder)
    (folder / "runs" / "vae" / "manifest.json").write_text('{"format": 1, "id": ')


def newer_manifest(folder: Path) -> None:
    trained(folder)
    file = folder / "runs" / "vae" / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 9}))


def changed_data(folder: Path) -> None:
    """A run on a file that holds other pictures now."""
    small_npz(folder)
    words = ["train", str(folder / "vae.yaml"), "--name", "vae", "--no-eval", "--max-time", "0.001s"]
    words += ["--set", "data.source=digits.npz", "--set", "data.batch_size=16"]
    assert run_command(words).exit_code == 0
    save_npz(folder, train_images=digits()[0][100:160])


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Within the block no file may grow past 100 kB: the system's own error, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def clips(folder: Path) -> None:
    """sounds/low, sounds/high: 12 WAV files of tones each."""
    tone_folder(folder / "sounds")


def silent_clip(folder: Path) -> None:
    clips(folder)
    write_wav(folder / "sounds" / "low" / "3.wav", levels(np.zeros(4000)))


def clip_without_samples(folder: Path) -> None:
    clips(folder)
    write_wav(folder / "sounds" / "low" / "3.wav", np.zeros(0, dtype=np.int16))


def clip_cut_short(folder: Path) -> None:
    clips(folder)
    file = folder / "sounds" / "low" / "3.wav"
    file.write_bytes(file.read_bytes()[:1044])


def clip_not_finite(folder: Path) -> None:
    clips(folder)
    samples = tone(440)
    samples[70] = np.nan
    write_wav(folder / "sounds" / "low" / "3.wav", samples)


def clip_of_another_kind(folder: Path) -> None:
    clips(folder)
    (folder / "sounds" / "low" / "3.wav").write_bytes(b"ID3" + bytes(200))


PREPARATIONS: dict[str, Prepare] = {
    prepare.__name__: prepare
    for prepare in (
        nothing,
        pictures,
        empty_folder,
        truncated_picture,
        empty_picture,
        note_among_pictures,
        mixed_sizes,
        transparent_picture,
        deep_picture,
        animation,
        one_class,
        pictures_beside_classes,
        unlabelled,
        own_test_split,
        pickled_array,
        wrong_keys,
        misspelt_key,
        labels_out_of_step,
        scaled_floats,
        npz_cut_short,
        npy_file,
        small_npz,
        tiny_pictures,
        wide_pictures,
        pixels_without_values,
        ambiguous_shape,
        labels_too_large,
        idx_cut_short,
        idx_labels_alone,
        table,
        table_with_text_cell,
        ragged_table,
        table_without_labels,
        reviews,
        empty_text,
        text_without_label_cell,
        faulty_pairs,
        pair_table,
        text_in_latin_1,
        open_quote,
        damaged_gzip,
        existing_file,
        binary_recipe,
        texts,
        two_sources,
        trained,
        trained_cnn,
        measured_cnn,
        trained_linear,
        damaged_checkpoint,
        missing_weights,
        checkpoint_of_another_model,
        damaged_manifest,
        newer_manifest,
        changed_data,
        clips,
        silent_clip,
        clip_without_samples,
        clip_cut_short,
        clip_not_finite,
        clip_of_another_kind,
    )
}
