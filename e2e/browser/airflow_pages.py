"""What a user does on Airflow's pages. Every step waits until the page shows what it needs."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support import expected_conditions as shown
from selenium.webdriver.support.ui import WebDriverWait

T = TypeVar("T")
# The first page is slow: the API server builds its routes then.
_PAGE_SECONDS = 60
_STATES = "[data-testid='state-badge']"
_REFUSAL = "[role='dialog'] [data-testid='error-alert']"
_MESSAGES = "[data-scope='toast'][data-part='root']"
_FINAL = ("Success", "Failed")


@dataclass(frozen=True)
class AirflowPages:
    """Airflow at `url` in a browser."""

    driver: WebDriver
    url: str

    def log_in(self, user: str, password: str, page: str) -> None:
        """Log in: request a page, fill in the form that Airflow redirects to, and return to the page."""
        self.driver.get(f"{self.url}{page}")
        self._clickable(By.NAME, "username").send_keys(user)
        self._clickable(By.NAME, "password").send_keys(password)
        self._click(By.CSS_SELECTOR, "button[type=submit]")
        self._until(lambda: urlsplit(self.driver.current_url).path == page, f"after the log-in: {page}")

    def open_form(self, field: str) -> None:
        """Open the DAG's trigger form from the DAG's page, and wait until it shows `field`."""
        self._click(By.CSS_SELECTOR, "[data-testid='trigger-dag-button']")
        self._visible(By.NAME, f"element_{field}")

    def labels(self) -> list[str]:
        """The labels of the form's fields, in their order, without the mark of a required one."""
        found = self.driver.find_elements(By.CSS_SELECTOR, "[data-testid='config-form'] [data-part='label']")
        return [one.text.removesuffix("*").strip() for one in found if one.text]

    def field(self, name: str) -> WebElement:
        """The form's input of that name (there is none for JSON)."""
        return self.driver.find_element(By.NAME, f"element_{name}")

    def options(self, name: str) -> list[str]:
        """What the list of that name offers."""
        box = self._box(name)
        box.click()
        options = f"#element_{name} [role='option']"
        found = self._until(lambda: self.driver.find_elements(By.CSS_SELECTOR, options), f"{name}: a list")
        texts = [one.text for one in found]
        box.send_keys(Keys.TAB)  # the escape key would close the form
        return texts

    def choose(self, name: str, option: str) -> None:
        box = self._box(name)
        box.click()
        box.send_keys(option, Keys.ENTER)

    def write(self, name: str, text: str) -> None:
        """Replace a field's text."""
        self.field(name).send_keys(Keys.CONTROL, "a", Keys.NULL, text)

    def json(self, name: str) -> Any:
        """What a JSON editor holds; None if that is no JSON."""
        editor = f"#element_{name} .view-lines"
        # The editor is drawn after the form.
        lines = self._until(lambda: self.driver.find_element(By.CSS_SELECTOR, editor).text, f"{name}: its text")
        try:
            return json.loads(lines.replace("\xa0", " "))  # it shows no-break spaces
        except ValueError:
            return None

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Replace the text of a JSON editor."""
        self._click(By.CSS_SELECTOR, f"#element_{name} .view-lines")
        self._press(Keys.CONTROL, "a")
        ActionChains(self.driver).send_keys(json.dumps(value)).perform()
        # The editor adds closing brackets and quotes by itself; the surplus ones stand behind the cursor.
        self._press(Keys.CONTROL, Keys.SHIFT, Keys.END)
        self._press(Keys.DELETE)
        self._until(lambda: self.json(name) == value, f"{name}: {value}")

    def trigger(self) -> None:
        """Send the form."""
        self._click(By.CSS_SELECTOR, "[data-testid='trigger-dag-submit']")

    def refusal(self) -> str:
        """What the form says after Airflow refused it."""
        alert = self._visible(By.CSS_SELECTOR, _REFUSAL)
        # The message also covers the form's button, for some seconds or as long as the pointer is on it.
        self._visible(By.CSS_SELECTOR, _MESSAGES)
        ActionChains(self.driver).move_to_element(alert).perform()
        self._until(lambda: not self.driver.find_elements(By.CSS_SELECTOR, _MESSAGES), "the message goes away")
        return self._visible(By.CSS_SELECTOR, _REFUSAL).text

    def run_id(self, dag: str) -> str:
        """The run whose page is shown once the form was accepted."""
        begin = f"/dags/{dag}/runs/"
        self._until(lambda: urlsplit(self.driver.current_url).path.startswith(begin), f"a page at {begin}")
        return urlsplit(self.driver.current_url).path.removeprefix(begin)

    def final_state(self, seconds: float) -> str:
        """The state of the run or task whose page is shown, as soon as the page says that it has ended."""

        def look() -> str | None:
            header = self.driver.find_elements(By.CSS_SELECTOR, f"[data-testid='header-card'] {_STATES}")
            return next((one.text for one in header if one.text in _FINAL), None)

        return self._until(look, "the page says that it has ended", seconds)

    def open_task(self, dag: str, run: str, task: str) -> None:
        """Click on the run's task, and see its page."""
        path = f"/dags/{dag}/runs/{run}/tasks/{task}"
        self._click(By.CSS_SELECTOR, f"td a[href*='/runs/'][href$='/tasks/{task}']")
        self._until(lambda: urlsplit(self.driver.current_url).path.startswith(path), f"a page at {path}")

    def open_details(self) -> None:
        """See the tab with the task's details."""
        self._click(By.LINK_TEXT, "Details")
        self._until(lambda: urlsplit(self.driver.current_url).path.endswith("/details"), "the tab Details")

    def picture(self, file: Path, part: str = "body", height: int | None = None) -> None:
        """Save a screenshot of the page, or of the part that a CSS selector names, at this window size in pixels."""
        file.parent.mkdir(parents=True, exist_ok=True)
        size = self.driver.get_window_size()
        self.driver.set_window_size(size["width"], height or size["height"])
        self.driver.find_element(By.CSS_SELECTOR, part).screenshot(str(file))
        self.driver.set_window_size(size["width"], size["height"])

    def links(self, *names: str) -> dict[str, str]:
        """The addresses of the task's links with those names, once all are there."""

        def look() -> dict[str, str] | None:
            found = {one.text: one.get_dom_attribute("href") for one in self.driver.find_elements(By.TAG_NAME, "a")}
            return {name: found[name] for name in names} if found.keys() >= set(names) else None

        return self._until(look, f"links {', '.join(names)}")

    def follow(self, link: str) -> str:
        """Click on a link that opens a new window, and switch to it; returns the page's text."""
        known = set(self.driver.window_handles)
        self._click(By.LINK_TEXT, link)
        (window,) = self._until(lambda: set(self.driver.window_handles) - known, f"a page behind {link}")
        self.driver.switch_to.window(window)
        self._until(lambda: self.driver.current_url.startswith("http"), f"the address behind {link}")
        return self._visible(By.TAG_NAME, "body").text

    def _press(self, *keys: str) -> None:
        """Press keys together."""
        chain = ActionChains(self.driver)
        for key in keys:
            chain.key_down(key)
        for key in reversed(keys):
            chain.key_up(key)
        chain.perform()

    def _box(self, name: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, f"#element_{name} [role='combobox']")

    def _click(self, by: str, value: str) -> None:
        def click(driver: WebDriver) -> bool:
            found = shown.element_to_be_clickable((by, value))(driver)
            if not found:
                return False
            found.click()
            return True

        self._wait(f"{value} that can be clicked", click)

    def _clickable(self, by: str, value: str) -> WebElement:
        return self._wait(f"{value} that can be clicked", shown.element_to_be_clickable((by, value)))

    def _visible(self, by: str, value: str) -> WebElement:
        return self._wait(f"{value} that can be seen", shown.visibility_of_element_located((by, value)))

    def _until(self, look: Callable[[], T | None], what: str, seconds: float = _PAGE_SECONDS) -> T:
        return self._wait(what, lambda _driver: look(), seconds)

    def _wait(
        self, what: str, condition: Callable[[WebDriver], T | Literal[False] | None], seconds: float = _PAGE_SECONDS
    ) -> T:
        """The first true result of `condition`. Raises AssertionError after `seconds`."""
        try:
            # The pages are redrawn all the time: an element that has gone is looked up again.
            wait = WebDriverWait(self.driver, seconds, ignored_exceptions=(StaleElementReferenceException,))
            found: T = wait.until(lambda driver: condition(driver) or False)
            return found
        except TimeoutException:
            raise AssertionError(f"{what}: not within {seconds:.0f} s at {self.driver.current_url}") from None
