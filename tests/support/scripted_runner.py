"""Stands for running programs, in the tests of the test platform."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class ScriptedRunner:
    """Notes every command, and answers by the words that a command contains."""

    answers: dict[tuple[str, ...], str | Exception] = field(default_factory=dict)
    commands: list[list[str]] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)

    def __call__(self, command: Sequence[str], *, stdin: str = "", timeout: float = 60) -> str:
        assert timeout > 0
        self.commands.append(list(command))
        self.inputs.append(stdin)
        for words, answer in self.answers.items():
            if all(word in command for word in words):
                if isinstance(answer, Exception):
                    raise answer
                return answer
        return ""

    def having(self, *words: str) -> list[list[str]]:
        """The commands that contain all these words."""
        return [command for command in self.commands if all(word in command for word in words)]
