"""What the site can set, from environment variables (the chart sets them)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from plato_sas.jobs.stage import Site

_PREFIX = "PLATO_SAS_"


class SettingInvalid(ValueError):
    """An environment variable is missing or not of its type; the message names it."""


@dataclass(frozen=True)
class Settings:
    """The operator's settings; durations in seconds."""

    namespace: str
    site: Site
    max_active_stars: int = 1000  # stars that may have Jobs at a time
    workers: int = 8  # stars reconciled at a time; they mostly wait for the API server
    job_ttl: int = 3600  # how long a finished Job stays for its logs
    resync: int = 300  # how often the view is compared with the API server, against events lost by a watch
    health_port: int = 8080
    metrics_port: int = 9090

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Raises SettingInvalid."""
        read = _Reader(environment)
        selector = read.text("NODE_SELECTOR", "")
        site = Site(
            stager_image=read.text("STAGER_IMAGE"),
            inputs_claim=read.text("INPUTS_CLAIM", Site.inputs_claim),
            products_claim=read.text("PRODUCTS_CLAIM", Site.products_claim),
            user=read.integer("USER", Site.user, minimum=1),
            image_pull_policy=read.text("IMAGE_PULL_POLICY", Site.image_pull_policy),
            image_pull_secrets=tuple(filter(None, read.text("IMAGE_PULL_SECRETS", "").split(","))),
            node_selector=tuple(_pair(read.name("NODE_SELECTOR"), one) for one in selector.split(",") if one),
            priority_class=read.text("PRIORITY_CLASS", "") or None,
        )
        return cls(
            namespace=read.text("NAMESPACE"),
            site=site,
            max_active_stars=read.integer("MAX_ACTIVE_STARS", cls.max_active_stars, minimum=1),
            workers=read.integer("WORKERS", cls.workers, minimum=1),
            job_ttl=read.integer("JOB_TTL_SECONDS", cls.job_ttl, minimum=0),
            resync=read.integer("RESYNC_SECONDS", cls.resync, minimum=10),
            health_port=read.integer("HEALTH_PORT", cls.health_port, minimum=1),
            metrics_port=read.integer("METRICS_PORT", cls.metrics_port, minimum=1),
        )


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

    def integer(self, key: str, default: int, minimum: int) -> int:
        written = self.text(key, str(default))
        try:
            value = int(written)
        except ValueError:
            raise SettingInvalid(f"{self.name(key)}: {written!r} is not an integer") from None
        if value < minimum:
            raise SettingInvalid(f"{self.name(key)}: {value} is less than {minimum}")
        return value
