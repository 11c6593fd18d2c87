"""Words as Markdown shows them: nothing that a suite, a branch or a host is called marks up."""

from __future__ import annotations

import re

from reports.words import Sentence, plain

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~<>&@-])")


def text(words: str) -> str:
    """Return `words` as Markdown shows them: on one line, nothing in them marks up."""
    return _SPECIAL.sub(r"\\\1", " ".join(words.split()))


def sentence_text(parts: Sentence) -> str:
    """Return a sentence as Markdown, what is strong in it as such."""
    return "".join(f"**{text(s.text)}**" if s.mark == "strong" and s.text.strip() == s.text else _kept(plain((s,)))
                   for s in parts)  # fmt: skip


def _kept(words: str) -> str:
    """Escape, and keep the spaces at both ends."""
    lead, tail = words[: len(words) - len(words.lstrip())], words[len(words.rstrip()) :]
    return f"{' ' if lead else ''}{text(words)}{' ' if tail and words.strip() else ''}"
