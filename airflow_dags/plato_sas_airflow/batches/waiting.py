"""How a batch is waited for: what an operator hands to its trigger. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Waiting:
    """How a batch is waited for.

    `report_seconds`: the counts are logged so often. `rejected_seconds`: a star that stays `Rejected` so long has
    failed. `failed_stars_path`: where a file with all failed stars goes, if anywhere.
    """

    report_seconds: float = 30.0
    rejected_seconds: float = 300.0
    failed_stars_path: str | None = None

    def serialize(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def deserialize(cls, data: Mapping[str, Any]) -> Self:
        return cls(**data)
