"""Guesses of the next tokens out of the text itself: what followed the last time its last tokens stood there.

Summaries, corrections and code repeat their prompt, so that a guess is often right, and several tokens are
then verified in one step of the model (decoding.py). The tokens are those that would have been chosen without
it, as far as the model's numbers do not depend on how many tokens it reads at once.

Source: Saxena 2023, "Prompt Lookup Decoding"; verification: Leviathan et al. 2023, "Fast Inference from
Transformers via Speculative Decoding", here by equality of the tokens chosen.
Departure: after a guess without any right token the next ones wait, twice as long each time, so that a text
that does not repeat itself costs nearly nothing more.
"""

from collections.abc import Sequence

_LONGEST_WAIT = 64


class PromptLookup:
    """Guesses for one text.

    Args:
        num_tokens: How many tokens are guessed at most, at least 1.
        ngram: How many last tokens must have stood there before.
    """

    def __init__(self, num_tokens: int, *, ngram: int = 3) -> None:
        self.num_tokens, self.ngram = num_tokens, ngram
        self.num_guessed, self.num_right = 0, 0
        self._followed_at: dict[tuple[int, ...], int] = {}
        """Behind each run of `ngram` tokens, where its last occurrence with a successor ends."""
        self._num_seen = 0
        self._wait, self._pause = 0, 1

    def guess(self, ids: Sequence[int], at_most: int) -> list[int]:
        """The tokens that may follow; [] where nothing is known, or a guess would not pay.

        Args:
            ids: The whole text so far, which only grows from call to call.
            at_most: More than so many are of no use.
        """
        for end in range(max(self._num_seen, self.ngram), len(ids)):
            self._followed_at[tuple(ids[end - self.ngram : end])] = end
        self._num_seen = len(ids)
        if self._wait > 0:
            self._wait -= 1
            return []
        place = self._followed_at.get(tuple(ids[-self.ngram :])) if len(ids) >= self.ngram else None
        num_wanted = min(self.num_tokens, at_most)
        if place is None or num_wanted < 1:
            return []
        period = len(ids) - place  # what follows the text's end is what followed its last occurrence, again
        return [ids[place + step % period] for step in range(num_wanted)]

    def learn(self, num_guessed: int, num_right: int) -> None:
        """How many tokens of the last guess were right."""
        self.num_guessed += num_guessed
        self.num_right += num_right
        if num_right:
            self._pause = 1
        elif num_guessed:
            self._wait = self._pause
            self._pause = min(2 * self._pause, _LONGEST_WAIT)
