"""Sentence embedders against sentence-transformers: a small one, and MiniLM where it was pulled."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="makes its models with transformers, which is not installed")
pytest.importorskip(
    "sentence_transformers", reason="compares with sentence-transformers, which is not installed"
)

import sentence_transformers

from creuset import assets
from creuset.data.tokenizer import Tokenizer
from creuset.errors import DataError, NotFoundError, UsageError
from creuset.layers.packed_linear import can_pack
from creuset.pretrained.folder import load_folder
from creuset.pretrained.sentence_embedder import SentenceEmbedder
from small_encoders import CONTEXT

TEXTS = [
    "A cat sat on the mat.",
    "",
    "Übergrößenträger, naïve café",
    "the " * 19,
    "One two three four five six seven eight.",
]
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]


def write_json(path: Path, values: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(values))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small BERT with a WordPiece tokenizer, as sentence-transformers saves one."""
    import tokenizers
    from tokenizers import normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "the",
        "cat",
        "sat",
        "on",
        "mat",
        ".",
        "one",
        "two",
        "na",
        "##ive",
    ]
    letters = [mark + letter for letter in "abcdefghijklmnopqrstuvwxyz" for mark in ("", "##")]
    vocabulary = {word: number for number, word in enumerate([*words, *letters])}
    backend = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    backend.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    place = tmp_path / "small"
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=CONTEXT,
        initializer_range=0.3,
    )
    BertModel(config).save_pretrained(place)
    backend.save(str(place / "tokenizer.json"))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    write_json(place / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **names})
    write_json(place / "modules.json", MODULES)
    write_json(
        place / "1_Pooling" / "config.json",
        {"word_embedding_dimension": 24, "pooling_mode_mean_tokens": True},
    )
    write_json(place / "sentence_bert_config.json", {"max_seq_length": 20, "do_lower_case": False})
    return place


def cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return (ours.astype(np.float64) * theirs).sum(1) / norms


@pytest.mark.parametrize("mode", ["mean", "cls", "lasttoken"])
@pytest.mark.parametrize("normalised", [True, False])
def test_vectors_are_those_of_sentence_transformers(mode: str, normalised: bool, folder: Path) -> None:
    write_json(folder / "1_Pooling" / "config.json", {"embedding_dimension": 24, "pooling_mode": mode})
    write_json(folder / "modules.json", MODULES if normalised else MODULES[:2])
    theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    ours = SentenceEmbedder.from_folder(folder).embed(TEXTS, truncate=20)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_texts_are_refused_or_cut_where_it_is_asked_for(folder: Path) -> None:
    embedder = SentenceEmbedder.from_folder(folder)
    assert embedder.max_tokens == 20
    fits, long = "the " * 18, "cat " + "the " * 18
    assert embedder.embed([fits]).shape == (1, 24)
    with pytest.raises(
        UsageError, match=r"text 2 of 2 is longer[^$]*21 tokens[^$]*at most 20[^$]*truncate=20"
    ):
        embedder.embed([fits, long])
    cut = embedder.embed([long], truncate=20)
    np.testing.assert_allclose(cut, embedder.embed(["cat " + "the " * 17]), atol=1e-6)
    np.testing.assert_allclose(
        embedder.embed(["the cat sat"], truncate=4), embedder.embed(["the cat"]), atol=1e-6
    )
    with pytest.raises(UsageError, match=r"truncate[^$]*more tokens[^$]*got: 21[^$]*at most 20"):
        embedder.embed([fits], truncate=21)
    with pytest.raises(UsageError, match=r"no room for a text[^$]*at least 3"):
        embedder.embed([fits], truncate=2)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_many_texts_keep_their_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = SentenceEmbedder.from_folder(folder)
    single = np.concatenate([embedder.embed([text], truncate=20) for text in TEXTS])
    monkeypatch.setattr("creuset.pretrained.sentence_embedder._PACK_TOKENS", 30)
    monkeypatch.setattr("creuset.pretrained.sentence_embedder._WINDOW", 7)
    np.testing.assert_allclose(embedder.embed(TEXTS * 5, truncate=20), np.tile(single, (5, 1)), atol=1e-5)
    assert embedder.embed([]).shape == (0, 24)


def test_a_single_text_in_place_of_a_list_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="list of texts"):
        SentenceEmbedder.from_folder(folder).embed("a text")


@pytest.mark.parametrize(
    ("file", "values", "error", "message"),
    [
        (
            "modules.json",
            [*MODULES, {"type": "sentence_transformers.models.Dense"}],
            UsageError,
            "Normalize, Dense",
        ),
        ("modules.json", {"0": "Transformer"}, DataError, "no list of modules"),
        ("modules.json", [MODULES[0], {**MODULES[1], "path": "../x"}], DataError, "no folder beside"),
        (
            "modules.json",
            [MODULES[0], {**MODULES[1], "path": "2_Pooling"}],
            NotFoundError,
            "pooling are missing",
        ),
        (
            "1_Pooling/config.json",
            {"pooling_mode": "max"},
            UsageError,
            r"max[^$]*one of mean, cls, lasttoken",
        ),
        (
            "1_Pooling/config.json",
            {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True},
            UsageError,
            "this pooling is not computed",
        ),
        ("sentence_bert_config.json", {"max_seq_length": "20"}, DataError, "max_seq_length is no number"),
    ],
)
def test_files_that_are_not_understood_are_refused(
    file: str, values: object, error: type[Exception], message: str, folder: Path
) -> None:
    write_json(folder / file, values)
    with pytest.raises(error, match=message):
        SentenceEmbedder.from_folder(folder)


def test_without_modules_there_is_no_embedder(folder: Path) -> None:
    (folder / "modules.json").write_text("[")
    with pytest.raises(DataError, match="no JSON"):
        SentenceEmbedder.from_folder(folder)
    (folder / "modules.json").unlink()
    with pytest.raises(NotFoundError, match=r"modules\.json"):
        SentenceEmbedder.from_folder(folder)


@pytest.fixture
def minilm(starter: Path) -> Path:
    """The folder of MiniLM."""
    if not (starter / "models" / "minilm" / "asset.json").is_file():
        pytest.skip("needs the starter asset minilm (creuset models pull minilm)")
    return assets.resolve("minilm").path


SENTENCES = [
    "Microstructural development of human newborn cerebral white matter assessed in vivo.",
    "Is it raining?",
    "Le chat dort sur le tapis; l'été, il préfère l'ombre.",
    "Long texts are cut to two hundred and fifty-six tokens by the model's own settings. " * 30,
]


@pytest.mark.parametrize(("dtype", "least"), [(torch.float32, 0.99999), (torch.bfloat16, 0.999)])
def test_minilm_gives_the_vectors_of_sentence_transformers(
    dtype: torch.dtype, least: float, minilm: Path
) -> None:
    theirs = sentence_transformers.SentenceTransformer(str(minilm), device="cpu").encode(SENTENCES)
    embedder = SentenceEmbedder.from_folder(minilm, dtype=dtype)
    assert embedder.max_tokens == 256
    assert cosines(embedder.embed(SENTENCES, truncate=256), theirs).min() >= least


@torch.no_grad()
def test_minilm_gives_the_states_of_transformers(minilm: Path) -> None:
    from transformers import BertModel

    theirs = BertModel.from_pretrained(minilm).eval()
    found = load_folder(minilm)
    ids = torch.tensor([Tokenizer.from_folder(minilm).encode(SENTENCES[0])])
    expected = theirs(ids)
    states = found.model().hidden(ids)
    torch.testing.assert_close(states, expected.last_hidden_state, rtol=0, atol=1e-4)
    torch.testing.assert_close(found.model().pool(states), expected.pooler_output, rtol=0, atol=1e-4)


def test_layers_are_packed_where_that_is_possible(folder: Path) -> None:
    embedder = SentenceEmbedder.from_folder(folder)
    linear = [module for module in embedder.embedder.modules() if isinstance(module, torch.nn.Linear)]
    assert bool(linear) != can_pack(torch.zeros(1))
