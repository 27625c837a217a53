"""Small tokenizers of each kind, made by the `tokenizers` library itself."""

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "Le cœur a ses raisons, où l'été s'en va.",
    "def f(x):\n    return x + 1\n\n\ttabs and   spaces",
    "naïve café — déjà vu… 日本語 🙂👩‍🚀",
] * 3
KINDS = ("byte_level", "sentencepiece", "metaspace", "wordpiece", "no_decoder")


def byte_level() -> tokenizers.Tokenizer:
    """GPT-2's form."""
    found = tokenizers.Tokenizer(models.BPE())
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        show_progress=False,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    found.train_from_iterator(TEXTS, trainer)
    return found


def sentencepiece() -> tokenizers.Tokenizer:
    """Llama 2's form: spaces as a mark, bytes for what the vocabulary lacks, a leading space taken off."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    letters = "abcdefghijklmnopqrstuvwxyzTLé.,"
    vocab = {piece: number for number, piece in enumerate([*pieces, *letters])}
    merges = []
    for pair in (("t", "h"), ("th", "e"), ("▁", "the"), ("▁", "a"), ("▁", "▁"), ("o", "u")):
        vocab["".join(pair)] = len(vocab)
        merges.append(pair)
    found = tokenizers.Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True))
    found.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    found.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    found.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    found.add_special_tokens(["<unk>", "<s>", "</s>"])
    return found


def metaspace() -> tokenizers.Tokenizer:
    """T5's form."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    letters = sorted({character for text in TEXTS for character in text if not character.isspace()})
    pieces += [(letter, -4.0) for letter in letters]
    pieces += [("▁the", -2.5), ("▁a", -2.6), ("ou", -3.0)]
    found = tokenizers.Tokenizer(models.Unigram(pieces, unk_id=2))
    found.pre_tokenizer = pre_tokenizers.Metaspace()
    found.decoder = decoders.Metaspace()
    found.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    found.add_special_tokens(["<pad>", "</s>", "<unk>"])
    return found


def wordpiece() -> tokenizers.Tokenizer:
    """BERT's form."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    pieces += [".", ",", "'", "!", "the", "##ing", "fox"]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    found = tokenizers.Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    found.normalizer = normalizers.BertNormalizer()
    found.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    found.decoder = decoders.WordPiece()
    found.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    found.add_special_tokens(pieces[:5])
    return found


def no_decoder() -> tokenizers.Tokenizer:
    """Whole words, put together with spaces."""
    words = sorted({word for text in TEXTS for word in text.split()})
    vocab = {word: number for number, word in enumerate(["[UNK]", *words])}
    found = tokenizers.Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    found.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return found


def small(kind: str) -> tokenizers.Tokenizer:
    """The tokenizer of a kind out of KINDS."""
    makers = (byte_level, sentencepiece, metaspace, wordpiece, no_decoder)
    return dict(zip(KINDS, makers, strict=True))[kind]()
