"""E-mail (.eml): subject, who wrote to whom and when, the text, and attachments that are text."""

import email
import email.policy
from email.message import EmailMessage, MIMEPart

from creuset.knowledge.parsing import can_read, ending_of, html, parse
from creuset.knowledge.parsing.reading import Bounds, Unreadable, Writer, clean, decode
from creuset.knowledge.records import ParsedDocument

_SHOWN = ("From", "To", "Cc", "Date")
_MAX_PARTS = 1000
_MAX_DEPTH = 8
_EMPTY = "\n\n"


def read(data: bytes, _name: str, bounds: Bounds) -> ParsedDocument:
    """The document of a message."""
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    if not message.keys():
        raise Unreadable("no e-mail: it has no header")
    writer = Writer(bounds)
    _write(message, writer, bounds, depth=0)
    return writer.document(title=_header(message, "Subject"), media_type="message/rfc822")


def _write(message: EmailMessage, writer: Writer, bounds: Bounds, *, depth: int) -> None:
    if depth > _MAX_DEPTH:
        writer.warnings.append(f"messages nested more than {_MAX_DEPTH} deep were left out")
        return
    writer.add("heading", _header(message, "Subject") or "(no subject)", min(6, depth + 1))
    lines = [f"{name}: {value}" for name in _SHOWN if (value := _header(message, name))]
    writer.add("paragraph", "\n".join(lines))
    try:
        body = message.get_body(("plain", "html"))
    except (KeyError, ValueError, AttributeError, RecursionError) as error:
        raise Unreadable("a message whose parts cannot be told apart") from error
    if body is not None:
        _write_body(body, writer, bounds)
    for number, part in enumerate(message.iter_attachments()):
        if number >= _MAX_PARTS:
            writer.warnings.append(f"attachments after the first {_MAX_PARTS:,} were left out")
            break
        _write_attachment(part, writer, bounds, depth)


def _write_body(part: MIMEPart, writer: Writer, bounds: Bounds) -> None:
    content = part.get_payload(decode=True)
    data = content if isinstance(content, bytes) else b""
    if not data.strip():
        return
    text = _decoded(data, part.get_content_charset())
    if part.get_content_subtype() == "html":
        inner = html.from_text(text, "", bounds)
        for block in inner.blocks:
            writer.add(block.kind, inner.text[block.start : block.end], block.level)
        return
    for paragraph in clean(text).split(_EMPTY):
        writer.add("paragraph", paragraph)


def _write_attachment(part: MIMEPart, writer: Writer, bounds: Bounds, depth: int) -> None:
    if part.get_content_type() == "message/rfc822":
        for inner in part.iter_parts():
            if isinstance(inner, EmailMessage):
                _write(inner, writer, bounds, depth=depth + 1)
        return
    name = part.get_filename() or "without a name"
    content = part.get_payload(decode=True)
    data = content if isinstance(content, bytes) else b""
    if not can_read(name) or ending_of(name) in ("", "eml"):
        writer.warnings.append(f"attachment {name} was left out")
        return
    try:
        inner_document = parse(data, name, bounds)
    except Unreadable as error:
        writer.warnings.append(f"attachment {name} was left out: {error}")
        return
    writer.add("heading", name, min(6, depth + 2))
    for block in inner_document.blocks:
        writer.add(block.kind, inner_document.text[block.start : block.end], block.level)


def _header(message: EmailMessage, name: str) -> str:
    """A header's text; "" where it is not there, or is none."""
    try:
        return clean(" ".join(str(message.get(name, "")).split()))
    except (ValueError, IndexError, AttributeError):  # Python's parser of addresses fails on some
        return ""


def _decoded(data: bytes, charset: str | None) -> str:
    if charset is not None:
        try:
            return data.decode(charset)
        except (LookupError, UnicodeDecodeError):
            pass
    return decode(data)[0]
