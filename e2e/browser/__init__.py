"""Airflow's pages in headless Chromium, as a user sees them."""

from e2e.browser.airflow_pages import AirflowPages
from e2e.browser.chromium import BrowserError, chromium, kept_on_failure
from e2e.browser.linked import LinkedHome
from e2e.browser.product_pages import served

__all__ = ["AirflowPages", "BrowserError", "LinkedHome", "chromium", "kept_on_failure", "served"]
