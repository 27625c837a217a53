"""What of a base is about text: tokenizer, chat template and ends, without its weights.

A base is a GGUF file or a folder of Hugging Face's transformers.
"""

from pathlib import Path

from creuset.data.chat_template import ChatTemplate
from creuset.data.text_side import TextSide
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import read_settings
from creuset.errors import NotFoundError
from creuset.pretrained.folder import FORMATS, MODEL_CONFIG, ids_of, read_generation
from creuset.pretrained.gguf.config import read_config as read_gguf_config
from creuset.pretrained.gguf.file import GgufFile
from creuset.pretrained.gguf.tokenizer import read_chat_template, read_tokenizer
from creuset.pretrained.hub_format import read_config


def open_text_side(path: Path) -> TextSide:
    """The text side of a GGUF file or a folder.

    Raises:
        NotFoundError: There is nothing, or a folder without a tokenizer or without config.json.
        DataError: A damaged file, or a tokenizer with more ids than the model has.
        UsageError: A model of a family that is not read.
    """
    if not path.exists():
        raise NotFoundError("no such file or folder", where=path, expected="a GGUF file or a model's folder")
    if not path.is_dir():
        file = GgufFile(path)
        tokenizer, config = read_tokenizer(file.metadata), read_gguf_config(file)
        tokenizer.check_fits(config.vocab_size)
        return TextSide(
            tokenizer=tokenizer,
            chat_template=read_chat_template(file.metadata),
            eos_ids=tokenizer.special.eos,
            context_length=config.context_length,
        )
    values = read_settings(path / MODEL_CONFIG)
    if not values:
        raise NotFoundError(f"no {MODEL_CONFIG} in this folder", where=path)
    tokenizer, config = Tokenizer.from_folder(path), read_config(values, FORMATS)[1]
    tokenizer.check_fits(config.vocab_size)
    try:
        template = ChatTemplate.from_folder(path)
    except NotFoundError:
        template = None
    ends = ids_of(read_generation(path, values), "eos_token_id")
    return TextSide(
        tokenizer=tokenizer,
        chat_template=template,
        eos_ids=tuple(dict.fromkeys((*ends, *tokenizer.special.eos))),
        context_length=config.context_length,
    )
