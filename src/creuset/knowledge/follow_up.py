"""A question that follows others, as it can be searched for alone.

By rule: a question that speaks of something before (it, they, that; il, elle, cela, en, y), or has hardly a
word of its own, takes along the rarest words of the last question. What was made of it is told (`asked` of an
answer).
"""

import re
from collections.abc import Sequence

from creuset.knowledge.analyzer import Analyzer

_REFERS = re.compile(
    r"\b(?:it|its|they|them|their|this|that|these|those|he|she|one|ones|il|ils|elle|elles|cela|ça|celui|"
    r"celle|ceux|celles|ce|cette|ces|son|sa|ses|leur|leurs|en|y)\b|^(?:and|or|et|ou|but|mais)\b|"
    r"\b(?:what about|et pour)\b",
    re.IGNORECASE,
)
_FEW_TERMS = 2
_WORD = re.compile(r"[^\W_]+(?:[-'’.][^\W_]+)*")


def standalone(question: str, conversation: Sequence[tuple[str, str]], analyzer: Analyzer) -> str:
    """The question as it is searched for.

    Args:
        question: As it was asked.
        conversation: The turns before, (role, content) each.
        analyzer: Tells words that say something.
    """
    earlier = [content for role, content in conversation if role == "user"]
    own = set(analyzer.question_terms(question))
    if not earlier or (len(own) > _FEW_TERMS and not _REFERS.search(question)):
        return question
    words = [
        word
        for word in dict.fromkeys(_WORD.findall(earlier[-1]))
        if (terms := set(analyzer.question_terms(word))) and not terms & own
    ]
    return f"{question} ({' '.join(words)})" if words else question
