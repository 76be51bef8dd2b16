"""Answers for the terminal or for programs: one line each, as text or as JSON; what is refused is named too.

Cost: none.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accent.shown import shown
from launch.terminal import complain


@dataclass
class Answers:
    """Prints answers as they come, and counts them."""

    as_json: bool = False
    answered: int = 0
    refused: int = 0

    def give(self, text: str, values: Mapping[str, Any]) -> None:
        """Print an answer.

        Args:
            text: for people.
            values: for programs.
        """
        self.answered += 1
        print(shown(json.dumps(values, ensure_ascii=False, allow_nan=False) if self.as_json else text), flush=True)

    def refuse(self, name: str, reason: str) -> None:
        """Name what cannot be used: on stderr, and for programs among the answers."""
        self.refused += 1
        complain(f"refused: {name}: {reason}")
        if self.as_json:
            print(shown(json.dumps({"input": name, "error": reason}, ensure_ascii=False)), flush=True)

    @property
    def status(self) -> int:
        """Exit status: 0 if everything was answered, 1 if a part was, 2 if nothing was."""
        if not self.refused:
            return 0
        return 1 if self.answered else 2
