"""A TOML text read into a model and checked as a whole: every fault at once, each with its line.

For files that are small and stand or fall as one, such as a policy; `structure.py` reads suites, of which a faulty part
is left out so that the faults of the rest are found too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from harness.declare.faults import SuiteError
from harness.declare.findings import Findings
from harness.declare.format import Text
from harness.declare.lines import line_numbers
from harness.declare.suite import read_toml
from harness.declare.wording import words

Model = TypeVar("Model", bound=BaseModel)


def checked(
    model: type[Model], source: str, file: str, tables: Mapping[str, type[BaseModel]]
) -> tuple[Model, Findings]:
    """Return what the text says, and where to note what only the whole shows to be wrong.

    Args:
        model: The file as a whole.
        source: The TOML text.
        file: What faults call it.
        tables: The model of each table in it, by its key.

    Raises:
        SuiteError: It is not TOML, or not of this model; with every fault.
    """
    text = Text(Path(file).stem, file, source)
    data = read_toml(text)
    text.lines = line_numbers(source)
    findings = Findings(text)
    try:
        return model.model_validate(data), findings
    except ValidationError as error:
        for details in error.errors():
            loc = details["loc"]
            table = next((part for part in reversed(loc[:-1]) if isinstance(part, str)), "")
            where = loc[:-1] if details["type"] == "missing" else loc
            findings.add(where, *words(details, tables.get(table, model)))
        raise SuiteError(findings.faults) from None
