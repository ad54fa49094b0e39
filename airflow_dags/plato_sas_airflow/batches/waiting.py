"""How to wait for a batch; the operator passes it to its trigger. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Waiting:
    """How to wait for a batch.

    `report_seconds`: interval between log lines with the counts. `rejected_seconds`: a star that stays `Rejected` for
    longer has failed. `failed_stars_path`: where to write a file with all failed stars, if anywhere.
    """

    report_seconds: float = 30.0
    rejected_seconds: float = 300.0
    failed_stars_path: str | None = None

    def serialize(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def deserialize(cls, data: Mapping[str, Any]) -> Self:
        return cls(**data)
