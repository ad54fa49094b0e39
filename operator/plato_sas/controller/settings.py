"""The settings of the site, read from environment variables (set by the chart)."""

import json
import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from plato_sas.api import Document, amount
from plato_sas.api.base import Bytes
from plato_sas.jobs.stage import Site

_PREFIX = "PLATO_SAS_"
_BYTES: TypeAdapter[str] = TypeAdapter(Bytes)


class SettingInvalid(ValueError):
    """An environment variable is missing or has the wrong type; the message names it."""


@dataclass(frozen=True)
class Settings:
    """The operator's settings; durations in seconds."""

    namespace: str
    site: Site
    max_active_stars: int = 1000  # stars that may have Jobs at the same time
    workers: int = 8  # stars reconciled at the same time; workers mostly wait for the API server
    job_ttl: int = 3600  # how long a finished Job stays at least
    star_ttl: int = 604800  # how long a finished star stays, unless its spec says
    status_interval: int = 2  # shortest interval between writes of a star's progress inside a stage
    max_steps_per_stage: int = 16
    start_seconds: int = (
        600  # how long a container may take to start: its image, volumes or configuration may be missing
    )
    normal_events: bool = True  # an Event for each ordinary change of a star, not only for what goes wrong
    stuck_seconds: int = 900  # how long a star may stand still without a reason before it counts as stuck
    products: Path = Path("/sas/products")  # where this process sees the products volume
    keep_logs: bool = True
    log_max_bytes: int = 1 << 20  # kept of one container's log
    log_workers: int = 2
    archive: bool = True
    resync: int = 300  # interval between comparisons of the view with the API server: a watch can lose events
    health_port: int = 8080
    metrics_port: int = 9090
    lease: str = "plato-sas-operator"
    identity: str = ""  # the holder named in the Lease

    def check_volume(self) -> None:
        """Raises SettingInvalid if the products volume is needed but not mounted."""
        if (self.keep_logs or self.archive) and not self.products.is_dir():
            raise SettingInvalid(
                f"{_PREFIX}PRODUCTS: {str(self.products)!r} is not a folder; mount the products volume there, or set "
                f"{_PREFIX}KEEP_LOGS and {_PREFIX}ARCHIVE to false"
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Raises SettingInvalid."""
        read = _Reader(environment)
        selector = read.text("NODE_SELECTOR", "")
        site = Site(
            stager_image=read.text("STAGER_IMAGE"),
            catalogue_image=read.text("CATALOGUE_IMAGE", "") or None,
            inputs_claim=read.text("INPUTS_CLAIM", Site.inputs_claim),
            products_claim=read.text("PRODUCTS_CLAIM", Site.products_claim),
            user=read.integer("USER", Site.user, minimum=1),
            image_pull_policy=read.text("IMAGE_PULL_POLICY", Site.image_pull_policy),
            image_pull_secrets=tuple(filter(None, read.text("IMAGE_PULL_SECRETS", "").split(","))),
            node_selector=tuple(_pair(read.name("NODE_SELECTOR"), one) for one in selector.split(",") if one),
            tolerations=read.tolerations("TOLERATIONS"),
            priority_class=read.text("PRIORITY_CLASS", "") or None,
            pod_annotations=read.texts("POD_ANNOTATIONS"),
            pod_labels=read.texts("POD_LABELS"),
            input_prefixes=read.prefixes("INPUT_PREFIXES", Site.input_prefixes),
            max_output_size=read.size("MAX_OUTPUT_SIZE", Site.max_output_size),
        )
        return cls(
            namespace=read.text("NAMESPACE"),
            site=site,
            max_active_stars=read.integer("MAX_ACTIVE_STARS", cls.max_active_stars, minimum=1),
            workers=read.integer("WORKERS", cls.workers, minimum=1),
            job_ttl=read.integer("JOB_TTL_SECONDS", cls.job_ttl, minimum=0),
            star_ttl=read.integer("STAR_TTL_SECONDS", cls.star_ttl, minimum=0),
            status_interval=read.integer("STATUS_INTERVAL_SECONDS", cls.status_interval, minimum=0),
            max_steps_per_stage=read.integer("MAX_STEPS_PER_STAGE", cls.max_steps_per_stage, minimum=1, maximum=16),
            start_seconds=read.integer("START_SECONDS", cls.start_seconds, minimum=10),
            normal_events=read.boolean("NORMAL_EVENTS", cls.normal_events),
            stuck_seconds=read.integer("STUCK_SECONDS", cls.stuck_seconds, minimum=10),
            products=read.folder("PRODUCTS", cls.products),
            keep_logs=read.boolean("KEEP_LOGS", cls.keep_logs),
            log_max_bytes=read.integer("LOG_MAX_BYTES", cls.log_max_bytes, minimum=4096, maximum=1 << 24),
            log_workers=read.integer("LOG_WORKERS", cls.log_workers, minimum=1, maximum=16),
            archive=read.boolean("ARCHIVE", cls.archive),
            resync=read.integer("RESYNC_SECONDS", cls.resync, minimum=10),
            health_port=read.integer("HEALTH_PORT", cls.health_port, minimum=1),
            metrics_port=read.integer("METRICS_PORT", cls.metrics_port, minimum=1),
            lease=read.text("LEASE", cls.lease),
            identity=_identity(environment),
        )


def _identity(environment: Mapping[str, str]) -> str:
    """The pod, so that a restarted container keeps its identity; outside a pod, unique per process."""
    pod = environment.get("POD_ID")
    if pod is None:
        return f"{socket.gethostname()}_{uuid.uuid4()}"
    uid = environment.get(f"{_PREFIX}POD_UID", "")
    return f"{pod}_{uid}" if uid else pod


def _pair(variable: str, text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator:
        raise SettingInvalid(f"{variable}: {text!r} is not of the form key=value")
    return key, value


@dataclass(frozen=True)
class _Reader:
    environment: Mapping[str, str] = field(repr=False)

    def name(self, key: str) -> str:
        return _PREFIX + key

    def text(self, key: str, default: str | None = None) -> str:
        value = self.environment.get(self.name(key), default)
        if value is None:
            raise SettingInvalid(f"{self.name(key)} is not set")
        return value

    def tolerations(self, key: str) -> tuple[Document, ...]:
        found = self._json(key, "[]")
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise SettingInvalid(f"{self.name(key)} is not a JSON list of tolerations")
        return tuple(found)

    def texts(self, key: str) -> tuple[tuple[str, str], ...]:
        found = self._json(key, "{}")
        if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
            raise SettingInvalid(f"{self.name(key)} is not a JSON object of strings")
        return tuple(found.items())

    def _json(self, key: str, default: str) -> Any:
        try:
            return json.loads(self.text(key, default))
        except ValueError:
            return None

    def boolean(self, key: str, default: bool) -> bool:
        written = self.text(key, str(default).lower())
        if written not in ("true", "false"):
            raise SettingInvalid(f"{self.name(key)}: {written!r} is neither true nor false")
        return written == "true"

    def folder(self, key: str, default: Path) -> Path:
        path = Path(self.text(key, str(default)))
        if not path.is_absolute():
            raise SettingInvalid(f"{self.name(key)}: {str(path)!r} is not an absolute path")
        return path

    def prefixes(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Folders below a volume's root; `.` is the root."""
        found = tuple(filter(None, self.text(key, ",".join(default)).split(",")))
        for one in found:
            if one != "." and (one.startswith("/") or not {"", ".", ".."}.isdisjoint(one.split("/"))):
                raise SettingInvalid(f"{self.name(key)}: {one!r} is not a folder below the volume's root")
        return found

    def size(self, key: str, default: int) -> int:
        """In bytes, of a quantity such as 16Gi."""
        written = self.text(key, str(default))
        try:
            return int(amount(_BYTES.validate_python(written)))
        except ValidationError:
            raise SettingInvalid(f"{self.name(key)}: {written!r} is not a size such as 16Gi") from None

    def integer(self, key: str, default: int, minimum: int, maximum: int | None = None) -> int:
        written = self.text(key, str(default))
        try:
            value = int(written)
        except ValueError:
            raise SettingInvalid(f"{self.name(key)}: {written!r} is not an integer") from None
        if value < minimum:
            raise SettingInvalid(f"{self.name(key)}: {value} is less than {minimum}")
        if maximum is not None and value > maximum:
            raise SettingInvalid(f"{self.name(key)}: {value} is more than {maximum}")
        return value
