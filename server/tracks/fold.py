"""Folding: text as it is compared, so that accents, case, width and punctuation don't matter.

NFKD, combining marks off, casefold, punctuation out (Unicode Standard Annex 15 and chapter 3.13). Both databases index
what comes out of here, which is why their results agree.
"""

from __future__ import annotations

import re
import unicodedata

# Letters that carry their mark inside, which no decomposition takes off.
_UNMARKED = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t", "ŋ": "n"}
)
# Marks that only modify (or stretch) a letter. Vowel signs of Indic scripts and Thai, and kana's voicing, are letters.
_MARKS = re.compile(
    "[\u0300-\u036f\u0591-\u05c7\u0640\u064b-\u065f\u0670\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)
# Scripts in which one or two characters mean something inside a longer run (Hangul too, which compounds freely): each
# character is a word of its own, and a run of them is searched as a phrase.
_IDEOGRAPHS = "\uac00-\ud7a3\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_IDEOGRAPH = re.compile(f"[{_IDEOGRAPHS}]")
_WORD_PART = re.compile(r"[^\W_]+(?:[\u0900-\u0dff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3099\u309a]+[^\W_]*)*")
_APOSTROPHES = str.maketrans("", "", "'’`´ʼ＇")
_ASCII_PLAIN = re.compile(r"[A-Za-z0-9]+(?: [A-Za-z0-9]+)*")


def fold(text: str) -> str:
    """`"Björk – Jóga (Live)"` → `"bjork joga live"`, `"AC/DC"` → `"acdc"`, `"坂本 A"` → `"坂 本 a"`."""
    if _ASCII_PLAIN.fullmatch(text):
        return text.lower()
    return " ".join([word for word, _ in words(text)])


def fold_with_parts(text: str) -> tuple[str, list[str]]:
    """The folded text, and the parts of its words that have punctuation inside, in their order."""
    if _ASCII_PLAIN.fullmatch(text):
        return text.lower(), []
    found = words(text)
    return " ".join([word for word, _ in found]), [part for _, parts in found for part in parts]


def words(text: str) -> list[tuple[str, list[str]]]:
    """Each word, and its parts where it has punctuation inside: `"AC/DC"` → `("acdc", ["ac", "dc"])`.

    Acronyms (`M.I.A.`) and what is one part anyway have none.
    """
    if not text.isascii():
        text = _MARKS.sub("", unicodedata.normalize("NFKD", text.casefold())).translate(_UNMARKED)
        # Hangul syllables fall apart in NFKD; they are put together again.
        text = _IDEOGRAPH.sub(r" \g<0> ", unicodedata.normalize("NFC", text))
    found: list[tuple[str, list[str]]] = []
    for chunk in text.casefold().replace("_", " ").translate(_APOSTROPHES).split():
        if chunk.isalnum():
            found.append((chunk, []))
            continue
        parts: list[str] = _WORD_PART.findall(chunk)
        if parts:
            has_parts = len(parts) > 1 and any(len(part) > 1 for part in parts)
            found.append(("".join(parts), parts if has_parts else []))
    return found
