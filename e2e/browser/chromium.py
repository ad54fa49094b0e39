"""Debian's Chromium and its driver: headless, and without connections of their own."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver

from e2e.setup.prerequisites import SEARCH_PATH

_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # its sandbox does not work for root
    "--disable-dev-shm-usage",
    "--disable-gpu",
    # Chromium itself calls home; no page that is tested here does.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--lang=en-GB",
    "--force-device-scale-factor=1",
)
_PAGE_SECONDS = 60


class BrowserError(Exception):
    """There is no browser, or it does not start."""


@contextmanager
def chromium(width: int = 1280, height: int = 900) -> Iterator[WebDriver]:
    """A browser with an empty profile, which is deleted afterwards. Raises BrowserError if it does not start."""
    with tempfile.TemporaryDirectory(prefix="plato-sas-chromium-") as profile:
        driver = _start(Path(profile), width, height)
        try:
            driver.set_page_load_timeout(_PAGE_SECONDS)
            yield driver
        finally:
            driver.quit()


def _start(profile: Path, width: int, height: int) -> WebDriver:
    options = ChromeOptions()
    options.binary_location = _program("chromium")
    for option in (*_OPTIONS, f"--window-size={width},{height}", f"--user-data-dir={profile}"):
        options.add_argument(option)
    try:
        # Given the driver, Selenium neither searches for one nor downloads it.
        return Chrome(options=options, service=Service(_program("chromedriver")))
    except WebDriverException as error:
        raise BrowserError(f"Chromium does not start: {error.msg}") from error


def _program(name: str) -> str:
    path = shutil.which(name, path=SEARCH_PATH)
    if path is None:
        raise BrowserError(f"there is no {name}; `make test-prerequisites` installs it")
    return path


@contextmanager
def kept_on_failure(driver: WebDriver, folder: Path) -> Iterator[None]:
    """If the body fails, save the page as it is then: `failure.png`, `failure.txt`; the error names them."""
    for name in ("failure.png", "failure.txt"):
        (folder / name).unlink(missing_ok=True)
    try:
        yield
    except BaseException as error:  # pytest's time limit is no Exception
        # A browser that has died must not hide why.
        with suppress(Exception):
            folder.mkdir(parents=True, exist_ok=True)
            text = driver.find_element(By.TAG_NAME, "body").text
            (folder / "failure.txt").write_text(f"{driver.current_url}\n\n{text}\n")
            driver.save_screenshot(str(folder / "failure.png"))
            error.add_note(f"The page then, {driver.current_url}, is in {folder}/failure.png and failure.txt")
        raise
