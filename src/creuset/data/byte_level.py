"""The byte-level alphabet: each of the 256 bytes as a character that can be seen.

Byte-level BPE cuts bytes, not characters, so nothing is unknown to it; its vocabulary is written with these
characters: printable ones of Latin-1 stand for themselves, the others for the characters from U+0100 on.

Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.2, and the
table `bytes_to_unicode` of its code.
"""

from functools import cache


@cache
def byte_alphabet() -> tuple[str, ...]:
    """The character of each byte, in the order of the bytes."""
    shown = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    hidden = iter(range(256, 512))
    return tuple(chr(byte if byte in shown else next(hidden)) for byte in range(256))


@cache
def _byte_of_character() -> dict[str, int]:
    return {character: byte for byte, character in enumerate(byte_alphabet())}


def bytes_of(token: str) -> bytes | None:
    """The bytes that a byte-level token stands for; None where it holds a character of no byte."""
    table = _byte_of_character()
    if not all(character in table for character in token):
        return None
    return bytes(table[character] for character in token)


def shown_bytes(content: bytes) -> str:
    """Bytes as people read them: their text, with <0xE2> for each byte of a character that is not whole."""
    text = content.decode(errors="surrogateescape")
    return "".join(f"<0x{ord(c) - 0xDC00:02X}>" if "\udc80" <= c <= "\udcff" else c for c in text)
