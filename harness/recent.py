"""Recent: values kept by key within a budget of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """Values by key with a size each; the least recently used go first."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._held: OrderedDict[str, tuple[T, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: str) -> T | None:
        """Return the value at `key`, now the most recently used; None where there is none."""
        if key not in self._held:
            return None
        self._held.move_to_end(key)
        return self._held[key][0]

    def put(self, key: str, value: T, num_bytes: int) -> None:
        """Keep `value`, which takes so many bytes, whatever the budget."""
        self.make_room(num_bytes)
        self._held[key] = (value, num_bytes)

    def make_room(self, num_bytes: int) -> list[T]:
        """Return the values that had to go for so many bytes to come."""
        free = self._budget - num_bytes - sum(size for _, size in self._held.values())
        gone = []
        while free < 0 and self._held:
            _, (value, size) = self._held.popitem(last=False)
            gone.append(value)
            free += size
        return gone

    def drop(self, key: str) -> T | None:
        """Return the value at `key` and keep it no longer."""
        return self._held.pop(key, (None, 0))[0]

    def drop_if(self, condition: Callable[[T], bool]) -> None:
        """Keep no value for which `condition` holds."""
        for key in [key for key, (value, _) in self._held.items() if condition(value)]:
            del self._held[key]

    def clear(self) -> None:
        """Keep nothing."""
        self._held.clear()
