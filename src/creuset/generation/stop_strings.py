"""Stop strings in a text that arrives in pieces: what may still become one is held back, nothing else is.

The stop that ends first wins, as for somebody who reads character by character; of two that end at the same
character, the one that began earlier. So the result depends on the text alone, not on how it was cut.
"""

from collections.abc import Sequence

from creuset.errors import UsageError


class StopStrings:
    """Watches a text for the first of several strings.

    Args:
        stops: Strings that end the text; none of them empty. They are no part of what is given out.

    Raises:
        UsageError: An empty stop string.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        if "" in stops:
            raise UsageError("an empty stop string would end every text", expected="at least one character")
        self._stops = tuple(stops)
        self._held = ""
        self._found: str | None = None

    @property
    def found(self) -> str | None:
        """The stop string that ended the text, None as long as there is none."""
        return self._found

    def feed(self, text: str) -> str:
        """The text that is certain not to belong to a stop string, as far as it was not given out before.

        Once a stop string is found, nothing more comes out.
        """
        if self._found is not None:
            return ""
        self._held += text
        ended = self._first()
        if ended is not None:
            start, self._found = ended
            safe, self._held = self._held[:start], ""
            return safe
        keep = self._possible_start()
        safe, self._held = self._held[:keep], self._held[keep:]
        return safe

    def finish(self) -> str:
        """What was held back, when the text ends without a stop string."""
        rest, self._held = self._held, ""
        return rest

    def _first(self) -> tuple[int, str] | None:
        """Where the stop string that ends first begins, and which it is."""
        places = [(self._held.find(stop), stop) for stop in self._stops]
        found = [(start + len(stop), start, stop) for start, stop in places if start >= 0]
        return min(found)[1:] if found else None

    def _possible_start(self) -> int:
        """The first place from which on all that is held begins a stop string."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for start in range(max(0, len(self._held) - longest), len(self._held)):
            if any(stop.startswith(self._held[start:]) for stop in self._stops):
                return start
        return len(self._held)
