"""A chat template of one's own for a base that has none, or another one (`model.chat_template`).

The run keeps the template itself, so that what is taken up again, asked or exported writes chats alike.
"""

from pathlib import Path

from creuset.data.chat_template import MAX_TEMPLATE_BYTES, ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import read_limited
from creuset.errors import DataError, NotFoundError
from creuset.recipe.sections import FamilyConfig

_WHERE = "model.chat_template"


def template_text(value: str) -> str:
    """The template in Jinja that a setting holds, or the file that it names.

    Raises:
        NotFoundError: It is no template, and there is no such file.
        DataError: The file is no text, longer than any template, or holds nothing in Jinja.
    """
    if "{" in value:
        return value
    path = Path(value).expanduser()
    if not path.is_file():
        raise NotFoundError(
            "no such file",
            where=_WHERE,
            got=value,
            expected="a file with a chat template in Jinja, or the template itself",
        )
    text = read_limited(path, MAX_TEMPLATE_BYTES)
    if "{" not in text:
        raise DataError(
            "no chat template: it writes no messages",
            where=path,
            got=repr(text[:80]),
            expected="{% for message in messages %}... in Jinja",
        )
    return text


def own_template(model: FamilyConfig, tokenizer: Tokenizer) -> ChatTemplate | None:
    """The template that a recipe gives its base; None where it gives none.

    Raises:
        NotFoundError, DataError: See `template_text`.
    """
    return None if model.base_template is None else given_template(model.base_template, tokenizer)


def given_template(value: str, tokenizer: Tokenizer) -> ChatTemplate:
    """The template in Jinja that a setting holds, or the file that it names, with the tokenizer's names.

    Raises:
        NotFoundError, DataError: See `template_text`.
    """
    special = {f"{name}_token": tokenizer.token(number) for name, number in tokenizer.special.named().items()}
    where = _WHERE if "{" in value else value
    return ChatTemplate(template_text(value), where=where, special=special)
