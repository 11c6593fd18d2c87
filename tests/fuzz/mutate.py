"""Mutation of texts: of bytes, of words and lines, and of what a JSON document holds."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

WORD = re.compile(rb"[A-Za-z_][A-Za-z0-9_.-]*|-?[0-9][0-9.eE+-]*|\s+|.", re.DOTALL)
STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 0.1, 1e308, -1e308, 5e-324, 1 << 31, 1 << 63, 1 << 70, 10**40, "", "\x00", "NaN",
    "../../x", "/etc", "a" * 300, "\u202e\U0001f600", [], {}, [[]], [None], {"": None}, [1, "a"], {"schema": 99},
    "2026-13-45",
)  # fmt: skip
"""Values that a document may hold where others were expected."""
TOKENS = (
    b"nan", b"inf", b"-inf", b"1e400", b"0x7fffffffffffffff", b"99999999999999999999", b"-1", b"0", b"''", b'""', b"[",
    b"]", b"[[", b"{", b"}", b"=", b".", b"\n", b"\r\n", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80",
    b"**", b"//", b"%", b"and", b"or", b"not", b"in", b"lambda", b"__class__", b"(", b")", b"9**9**9", b"true", b"best",
    b"{ from = 1, to = 8, times = 2 }", b"{ from = 1, to = 9, step = 2 }", b"min(", b"max(", b"'''", b'"""', b"#",
    b"..", b"dropless",
)  # fmt: skip


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Return `data` changed in one to four places."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        data = chance.choice(_WAYS)(data, chance)
    return data


def _flip_byte(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    begin, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    return data[:begin] + data[min(end, begin + 200) :]


def _double(data: bytes, chance: random.Random) -> bytes:
    begin, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    piece = data[begin : min(end, begin + 200)]
    return data[:end] + piece * chance.choice((1, 1, 50)) + data[end:]


def _swap_words(data: bytes, chance: random.Random) -> bytes:
    words = WORD.findall(data)
    if words:
        one, other = chance.randrange(len(words)), chance.randrange(len(words))
        words[one] = words[other]
    return b"".join(words)


def _put_token(data: bytes, chance: random.Random) -> bytes:
    words = WORD.findall(data)
    at = chance.randrange(len(words) + 1)
    words[at : at + chance.randrange(2)] = [chance.choice(TOKENS)]
    return b"".join(words)


def _swap_lines(data: bytes, chance: random.Random) -> bytes:
    lines = data.split(b"\n")
    at = chance.randrange(len(lines))
    lines.insert(chance.randrange(len(lines)), lines[at] if chance.random() < 0.5 else lines.pop(at))
    return b"\n".join(lines)


def _change_document(data: bytes, chance: random.Random) -> bytes:
    """Change a JSON document, or one of the documents of a JSON-lines file, and leave it one; else a word."""
    lines = data.split(b"\n") if data.count(b"\n{") else [data]
    at = chance.randrange(len(lines))
    try:
        document = json.loads(lines[at])
        changed = json.dumps(_changed(document, chance)).encode()
    except (ValueError, RecursionError):
        return _swap_words(data, chance)
    return b"\n".join([*lines[:at], changed, *lines[at + 1 :]])


def _changed(value: Any, chance: random.Random) -> Any:
    """Return `value` with one thing in it replaced, removed, added or doubled."""
    if not isinstance(value, dict | list) or not value or chance.random() < 0.05:
        return chance.choice(STRANGE)
    items: list[tuple[Any, Any]] = list(value.items() if isinstance(value, dict) else enumerate(value))
    at = chance.randrange(len(items))
    what = chance.random()
    if what < 0.7:
        items[at] = (items[at][0], _changed(items[at][1], chance))
    elif what < 0.8:
        del items[at]
    else:
        items.append((chance.choice(("", "x", items[at][0])), chance.choice((items[at][1], *STRANGE))))
    return dict(items) if isinstance(value, dict) else [item for _, item in items]


_WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip_byte, _cut, _double, _swap_words, _put_token, _put_token, _swap_lines, _change_document, _change_document,
    _change_document,
)  # fmt: skip
