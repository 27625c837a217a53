"""Tokenizers made from one's own texts.

byte_bpe     bytes, then the most frequent neighbours merged again and again (GPT-2); nothing is unknown
wordpiece    characters merged within words, later pieces marked with ## (BERT); texts keep case and accents
unigram      the pieces under which the texts are likeliest (T5, `unigram_training.py`)
characters   each character a token
words        each word a token, in lower case, and each punctuation mark, as data/vocabulary.py cuts texts;
             white space and the case of letters are not given back

The same texts give the same tokenizer, byte for byte, in any number of threads; nothing is drawn. The
byte-level BPE trainer of `tokenizers` does so; its WordPiece trainer numbers the alphabet in the order of a
hash map, so the alphabet is handed to it in a fixed order; its Unigram trainer cannot be made to, and
`unigram_training.py` takes its place.

Source: Sennrich et al. 2016 (BPE), Radford et al. 2019 (bytes), Schuster & Nakajima 2012 and Devlin et al.
2019 (WordPiece), Kudo 2018 (Unigram).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as Backend

from creuset.data.text_lines import read_lines
from creuset.data.text_pieces import CHARACTER, WORD, cut_places, pieces
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import SpecialTokens
from creuset.data.tokenizer_library import component
from creuset.data.unigram_training import train_unigram
from creuset.errors import DataError, UsageError, did_you_mean

Kind = Literal["byte_bpe", "wordpiece", "unigram", "characters", "words"]

SPECIAL_NAMES: Mapping[Kind, Mapping[str, str]] = MappingProxyType(
    {
        "byte_bpe": {"eos": "<|endoftext|>", "pad": "<|pad|>"},
        "wordpiece": {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"},
        "unigram": {"pad": "<pad>", "eos": "</s>", "unk": "<unk>"},
        "characters": {"eos": "<|endoftext|>", "pad": "<|pad|>", "unk": "<|unknown|>"},
        "words": {"eos": "<|endoftext|>", "pad": "<|pad|>", "unk": "<|unknown|>"},
    }
)
"""The special tokens of each kind, as in the models that made it known; their ids come first."""

_NEEDED: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        "byte_bpe": (),
        "wordpiece": ("unk", "cls", "sep"),
        "unigram": ("unk", "eos"),
        "characters": ("unk",),
        "words": ("unk",),
    }
)
_WHOLE: tuple[Kind, ...] = ("characters", "words")
"""Kinds that count what the texts hold, and learn nothing: their size is the most there may be."""
_SCORE_DECIMALS = 12
"""Of a log probability: few enough digits that the library reads from its JSON the number that it wrote,
which it does not of all 17; else a saved tokenizer, loaded, would be another one."""
_CONTINUES = "##"
_MAX_WORD = 100
_PIECE = 2**14
"""Characters of a text that words are counted of at once, at least."""


def train_tokenizer(
    texts: Iterable[str],
    kind: Kind,
    *,
    vocabulary_size: int | None = None,
    special: Mapping[str, str] | None = None,
    more_special: Sequence[str] = (),
) -> Tokenizer:
    """A tokenizer learned from texts.

    Args:
        texts: What to learn from; gone through once.
        kind: What a token is.
        vocabulary_size: Tokens in all, special ones too. None, for characters and words alone: all that there
            are; with a number, the most frequent ones.
        special: The special tokens by their role (a field of SpecialTokens); default: SPECIAL_NAMES[kind].
        more_special: Further special tokens, such as those of a chat template.

    Raises:
        UsageError: An unknown kind or role, a size that is missing, or a token given twice.
        DataError: No text, or texts that hold fewer tokens, or more distinct characters, than the size.
    """
    names = _special_names(kind, special, more_special)
    if (vocabulary_size is None and kind not in _WHOLE) or vocabulary_size == 0:
        raise UsageError(f"{kind} needs a size", where="vocabulary_size", expected="a number of tokens")
    learned = [text for text in texts if text]
    if not learned:
        raise DataError(
            "there is nothing to learn from",
            where="tokenizer",
            got="no text, or empty ones",
            next_step="give files with text",
        )
    trained = _TRAINERS[kind](learned, vocabulary_size or 0, names)
    trained.add_special_tokens([*names.values(), *more_special])
    found = _with_roles(trained, names, kind)
    if vocabulary_size is not None and kind not in _WHOLE and found.vocab_size < vocabulary_size:
        raise DataError(
            f"the texts are too few for so large a vocabulary ({kind})",
            where="vocabulary_size",
            got=vocabulary_size,
            expected=f"at most {found.vocab_size}, all that {len(learned):,} texts hold",
            next_step=f"set it to {found.vocab_size} or less, or give more text",
        )
    return found


def read_corpus(paths: Sequence[Path | str]) -> Iterator[str]:
    """The lines of text files, their line ends kept, so that a tokenizer learns these too.

    Raises:
        NotFoundError: A file that is not there.
        DataError: An empty file, or a line that is not UTF-8, as file:line.
    """
    for path in paths:
        for line in read_lines(path):
            yield f"{line}\n"


def bytes_per_token(tokenizer: Tokenizer, texts: Sequence[str]) -> float:
    """Bytes of UTF-8 that a token stands for, on average: above 1 for all but the rarest texts, 3 to 5 for
    English and a large vocabulary. The higher, the fewer tokens the same text costs.

    Raises:
        DataError: The texts hold no token.
    """
    num_tokens = sum(len(ids) for ids in tokenizer.encode_batch(texts, add_special=False))
    if num_tokens == 0:
        raise DataError("no token in these texts", where="bytes per token", got=f"{len(texts)} texts")
    return sum(len(text.encode()) for text in texts) / num_tokens


def _special_names(kind: str, special: Mapping[str, str] | None, more: Sequence[str]) -> Mapping[str, str]:
    """The special tokens by role, checked."""
    if kind not in get_args(Kind):
        raise UsageError(f'no tokenizer "{kind}"{did_you_mean(kind, get_args(Kind))}', where="tokenizer")
    known: Kind = next(one for one in get_args(Kind) if one == kind)
    names = dict(SPECIAL_NAMES[known] if special is None else special)
    for role in names:
        if role not in SpecialTokens.__dataclass_fields__:
            raise UsageError(f'no role "{role}"{did_you_mean(role, SpecialTokens.__dataclass_fields__)}')
    missing = [role for role in _NEEDED[known] if role not in names]
    if missing:
        raise UsageError(f"{kind} needs special tokens", where="special", got=names, expected=missing)
    contents = [*names.values(), *more]
    if len(set(contents)) < len(contents) or not all(contents):
        raise UsageError("special tokens must differ, and none be empty", where="special", got=contents)
    return names


def _with_roles(trained: Backend, names: Mapping[str, str], kind: Kind) -> Tokenizer:
    """The tokenizer with its special tokens, and with what is put around each text."""
    ids = {role: number for role, name in names.items() if (number := trained.token_to_id(name)) is not None}
    if kind == "wordpiece":
        cls, sep = names["cls"], names["sep"]
        trained.post_processor = processors.TemplateProcessing(
            single=f"{cls} $A {sep}",
            pair=f"{cls} $A {sep} $B:1 {sep}:1",
            special_tokens=[(cls, ids["cls"]), (sep, ids["sep"])],
        )
    elif kind == "unigram":
        eos = names["eos"]
        trained.post_processor = processors.TemplateProcessing(
            single=f"$A {eos}", pair=f"$A {eos} $B {eos}", special_tokens=[(eos, ids["eos"])]
        )
    single = {role: number for role, number in ids.items() if role != "eos"}
    special = SpecialTokens(eos=(ids["eos"],) if "eos" in ids else (), **single)
    return Tokenizer(trained, special=special, where=f"the {kind} tokenizer just trained")


def _too_small(vocabulary_size: int, needed: int, what: str) -> None:
    if vocabulary_size < needed:
        raise DataError(
            "the vocabulary is too small for its alphabet",
            where="vocabulary_size",
            got=vocabulary_size,
            expected=f"at least {needed}: {what}",
            next_step="raise it, or train byte_bpe, whose alphabet is the 256 bytes",
        )


def _byte_bpe(texts: Sequence[str], vocabulary_size: int, names: Mapping[str, str]) -> Backend:
    _too_small(vocabulary_size, 256 + len(names), f"256 bytes and {len(names)} special tokens")
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(names.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(_pieces(backend, texts), trainer)
    return backend


def _pieces(backend: Backend, texts: Sequence[str]) -> Iterator[str]:
    """The texts in pieces that hold the same words."""
    # not when the first piece is asked for: the library locks a tokenizer that it trains
    places = cut_places(component(backend.normalizer), component(backend.pre_tokenizer))
    return (piece for text in texts for piece in pieces(text, places, length=_PIECE))


def _words(backend: Backend, texts: Sequence[str]) -> Counter[str]:
    """The words that a tokenizer's normalizer and pre-tokenizer leave of the texts, counted."""
    words: Counter[str] = Counter()
    normalizer, pre_tokenizer = backend.normalizer, backend.pre_tokenizer
    for text in _pieces(backend, texts):
        plain = text if normalizer is None else normalizer.normalize_str(text)
        words.update(word for word, _ in pre_tokenizer.pre_tokenize_str(plain))
    return words


def _wordpiece(texts: Sequence[str], vocabulary_size: int, names: Mapping[str, str]) -> Backend:
    """BPE within words gives the pieces; WordPiece then takes the longest that fits."""
    backend = Backend(models.BPE(continuing_subword_prefix=_CONTINUES))
    backend.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words = _words(backend, texts)
    alphabet = sorted({word[0] for word in words})
    alphabet += sorted({f"{_CONTINUES}{character}" for word in words for character in word[1:]})
    first = [*names.values(), *alphabet]
    _too_small(vocabulary_size, len(first), f"{len(alphabet)} characters and {len(names)} special tokens")
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=first,  # numbers the alphabet in this order
        continuing_subword_prefix=_CONTINUES,
        show_progress=False,
    )
    backend.train_from_iterator(_pieces(backend, texts), trainer)
    vocab = backend.get_vocab(with_added_tokens=False)
    trained = Backend(models.WordPiece(vocab, unk_token=names["unk"], max_input_chars_per_word=_MAX_WORD))
    trained.normalizer, trained.pre_tokenizer = backend.normalizer, backend.pre_tokenizer
    trained.decoder = decoders.WordPiece(prefix=_CONTINUES)
    return trained


def _unigram(texts: Sequence[str], vocabulary_size: int, names: Mapping[str, str]) -> Backend:
    backend = Backend(models.Unigram([]))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    words = _words(backend, texts)
    characters = {character for word in words for character in word}
    size = vocabulary_size - len(names)
    _too_small(
        vocabulary_size,
        len(characters) + len(names),
        f"{len(characters)} characters and {len(names)} special tokens",
    )
    pieces = [(name, 0.0) for name in names.values()]
    pieces += [(piece, round(score, _SCORE_DECIMALS)) for piece, score in train_unigram(words, size)]
    backend.model = models.Unigram(pieces, unk_id=list(names).index("unk"), byte_fallback=False)
    return backend


def _characters(texts: Sequence[str], vocabulary_size: int, names: Mapping[str, str]) -> Backend:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    if vocabulary_size:
        _too_small(vocabulary_size, len(names) + 1, f"{len(names)} special tokens and a character")
        ranked = ranked[: vocabulary_size - len(names)]
    tokens = [*names.values(), *sorted(ranked)]
    vocab = {token: number for number, token in enumerate(tokens)}
    backend = Backend(models.WordLevel(vocab, unk_token=names["unk"]))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(CHARACTER), "isolated")
    backend.decoder = decoders.Fuse()
    return backend


def _whole_words(texts: Sequence[str], vocabulary_size: int, names: Mapping[str, str]) -> Backend:
    """The words from the most frequent on, equally frequent ones in the order of the alphabet."""
    backend = Backend(models.WordLevel({}, unk_token=names["unk"]))
    backend.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), "removed", invert=True)
    counts = _words(backend, texts)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    if vocabulary_size:
        _too_small(vocabulary_size, len(names) + 1, f"{len(names)} special tokens and a word")
        ranked = ranked[: vocabulary_size - len(names)]
    vocab = {token: number for number, token in enumerate([*names.values(), *ranked])}
    backend.model = models.WordLevel(vocab, unk_token=names["unk"])
    return backend


_TRAINERS: Mapping[Kind, Callable[[Sequence[str], int, Mapping[str, str]], Backend]] = MappingProxyType(
    {
        "byte_bpe": _byte_bpe,
        "wordpiece": _wordpiece,
        "unigram": _unigram,
        "characters": _characters,
        "words": _whole_words,
    }
)
