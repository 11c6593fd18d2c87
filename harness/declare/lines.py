"""The lines of a TOML file: where each key and each element of a list stands.

`tomllib` gives values without positions, and no TOML library of good standing gives them for every key. So `tomllib`
decides what is valid, and this scanner walks over a text that is known to be valid, and only counts.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

Path = tuple[str | int, ...]
"""Keys and list indices from the top of the document: `("variant", 1, "sweep", "experts", 0)`."""

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*("(?:\\.|[^"\\\n])*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?""""{0,2}'
    r"|'''.*?''''{0,2}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


def line_numbers(text: str) -> dict[Path, int]:
    """Return the line, counted from 1, of every key, table and list element of `text`, which must be valid TOML."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    """Walks over valid TOML once; on anything that it does not know it stops, and later keys have no line."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._line = 1
        self._counted_to = 0
        self._elements: dict[Path, int] = {}

    def document(self) -> None:
        """Note every key of the document."""
        table: Path = ()
        self.blank()
        while self.at < len(self.text):
            start = self.at
            if self.text.startswith("[", self.at):
                table = self.header()
            else:
                self.pair(table)
            self.blank()
            if self.at == start:
                return

    def header(self) -> Path:
        """Step over `[a.b]` or `[[a.b]]` and return the path of the table that it opens."""
        line, is_list = self.line(), self.text.startswith("[[", self.at)
        self.at += 2 if is_list else 1
        path: Path = ()
        keys = list(self.keys())
        for position, key in enumerate(keys):
            path += (key,)
            self.lines.setdefault(path, line)
            if is_list and position == len(keys) - 1:
                self._elements[path] = self._elements.get(path, -1) + 1
            if path in self._elements:
                path += (self._elements[path],)
                self.lines.setdefault(path, line)
        self.at += 2 if is_list else 1
        return path

    def pair(self, table: Path) -> None:
        """Step over `key = value`, noting the key and what is inside the value."""
        line = self.line()
        path = table
        for key in self.keys():
            path += (key,)
            self.lines.setdefault(path, line)
        self.at += 1  # =
        self.value(path)

    def keys(self) -> Iterator[str]:
        """Step over `a."b".c` and yield its parts."""
        while found := _KEY.match(self.text, self.at):
            self.at = found.end()
            yield _unquoted(found[1])
            if not self.text.startswith(".", self.at):
                return
            self.at += 1

    def value(self, path: Path) -> None:
        """Step over one value, noting what is inside it."""
        self.blank()
        if self.text.startswith("[", self.at):
            self.inside("]", path, is_list=True)
        elif self.text.startswith("{", self.at):
            self.inside("}", path, is_list=False)
        elif found := _STRING.match(self.text, self.at) or _SCALAR.match(self.text, self.at):
            self.at = found.end()

    def inside(self, close: str, path: Path, *, is_list: bool) -> None:
        """Step over a list or an inline table."""
        self.at += 1
        count = 0
        self.blank()
        while self.at < len(self.text) and not self.text.startswith(close, self.at):
            start = self.at
            if is_list:
                element = (*path, count)
                self.lines[element] = self.line()
                self.value(element)
            else:
                self.pair(path)
            count += 1
            self.blank()
            if self.text.startswith(",", self.at):
                self.at += 1
                self.blank()
            if self.at == start:
                return
        self.at += 1

    def blank(self) -> None:
        """Step over spaces, line ends and comments."""
        found = _BLANK.match(self.text, self.at)
        assert found
        self.at = found.end()

    def line(self) -> int:
        """Return the line that the scanner stands on."""
        self._line += self.text.count("\n", self._counted_to, self.at)
        self._counted_to = self.at
        return self._line


def _unquoted(key: str) -> str:
    """Return the name that a bare or quoted key stands for."""
    return next(iter(tomllib.loads(f"{key} = 0"))) if key[0] in "\"'" else key
