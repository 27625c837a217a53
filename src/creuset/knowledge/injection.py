"""Retrieved text is data: what tries to give orders to a model is found by rules, and stays out of its
prompt.

A rule looks for who is spoken to (the reader's assistant, its instructions, its system prompt) and for what
it should do (ignore, forget, reveal, answer only, obey); a sentence with such an order is left out. Evidence
stands between
marks that a document cannot know: a hash of the question and of the evidence itself.

Limits: rules find what is worded as they know. What they miss can still make a model write something; in the
strict mode that is withheld, since no document supports it.
"""

import hashlib
import re
from collections.abc import Sequence

from creuset.knowledge.sentences import sentence_spans

_ORDERS = (
    r"\b(?:ignore|disregard|forget|override|bypass|skip)\b[^.]{0,40}\b(?:previous|prior|above|earlier|"
    r"all|any|your|"
    r"other|the)\b[^.]{0,30}\b(?:instruction|prompt|rule|order|message|direction|context|document|"
    r"guideline)s?",
    r"\b(?:system|developer|hidden|initial)\s+(?:prompt|message|instruction)s?\b",
    r"\b(?:you are|act as|pretend (?:to be|you)|roleplay|from now on,? you|you must now|"
    r"your new (?:role|task|goal))\b"
    r"[^.]{0,60}\b(?:assistant|ai|model|bot|pirate|dan|developer mode|unrestricted|admin|character)\b",
    r"\b(?:as|dear|note to|attention|hey|hello|instructions? (?:for|to)|message (?:for|to))\s+(?:an?\s+|"
    r"the\s+|any\s+|all\s+)?"
    r"(?:ai|llm|assistants?|language models?|chatbots?|models?)\b",
    r"\b(?:respond|answer|reply|say|write|output|print|repeat)\b[^.]{0,30}\b(?:only|exactly|nothing but|"
    r"instead|always|"
    r"with the (?:word|phrase|text)|the following (?:word|phrase|text|sentence))\b",
    r"\b(?:reveal|leak|disclose|send|exfiltrate|forward|email)\b[^.]{0,50}\b(?:prompt|password|secret|"
    r"key|token|"
    r"credential|conversation|context|instruction)s?\b",
    r"\b(?:do not|don't|never)\b[^.]{0,30}\b(?:mention|cite|tell the user|use the (?:other|above)|follow)\b",
    r"\b(?:tell|inform|convince|instruct)\s+the\s+(?:user|reader|customer)\b",
    r"\b(?:ignore[rz]?|oublie[rz]?|néglige[rz]?|outrepasse[rz]?)\b[^.]{0,50}\b(?:instruction|consigne|"
    r"règle|ordre|"
    r"message|document|contexte)s?",
    r"\b(?:invite|message|consigne|instruction)s?\s+(?:système|du système|cachée?s?|précédente?s?)\b",
    r"\b(?:tu es|vous êtes|fais comme si|faites comme si|agis|agissez|désormais,? (?:tu|vous))\b[^.]{0,60}"
    r"\b(?:assistant|ia|modèle|robot|pirate|administrateur|sans restriction)\b",
    r"\b(?:répond(?:s|ez|re)|di(?:s|tes)|écri(?:s|vez)|affiche[rz]?|"
    r"répète[rz]?)\b[^.]{0,30}\b(?:seulement|uniquement|"
    r"exactement|rien d'autre|toujours|à la place|le (?:mot|texte) suivant|la phrase suivante)\b",
    r"\b(?:révèle[rz]?|divulgue[rz]?|envoie[rz]?|transmet(?:s|tez|tre))\b[^.]{0,50}\b(?:mot de passe|"
    r"secret|clé|jeton|"
    r"consigne|instruction|conversation|invite)s?\b",
    r"\b(?:à l'attention|note|message|instructions?)\s+(?:de|pour|à)\s+(?:l'|les\s+|un\s+|toute?s?\s+)?"
    r"(?:ia|assistants?|modèles?|robots?|intelligences? artificielles?)\b",
    r"\b(?:dis|dites|annonce[rz]?)\s+à\s+l'(?:utilisateur|usager|lecteur)\b",
    r"<\|?/?(?:im_start|im_end|system|user|assistant|endoftext)\|?>|\[/?INST\]|###\s*(?:system|"
    r"instruction|human|assistant)",
)
_ORDER = re.compile("|".join(f"(?:{order})" for order in _ORDERS), re.IGNORECASE)


def orders_in(text: str, language: str) -> list[tuple[int, int]]:
    """The sentences that try to give orders to a model, as spans of characters."""
    spans = sentence_spans(text, language)
    return [(start, end) for start, end in spans if _ORDER.search(text[start:end])]


def without_orders(text: str, language: str) -> tuple[str, int]:
    """A text without such sentences, and how many they were."""
    found = orders_in(text, language)
    kept, place = [], 0
    for start, end in found:
        kept.append(text[place:start])
        place = end
    kept.append(text[place:])
    return "".join(kept) if found else text, len(found)


def mark_of(question: str, texts: Sequence[str]) -> str:
    """A mark that stands around evidence: no document can hold it, since it is a hash of all of them."""
    told = hashlib.sha256("\0".join([question, *texts]).encode())
    return told.hexdigest()[:12]
