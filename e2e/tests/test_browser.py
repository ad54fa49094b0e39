"""A user takes one star through the pipeline with Airflow's pages alone: log in, form, run, the star's products."""

from collections.abc import Iterator

import pytest

from e2e.airflow import AirflowService
from e2e.airflow.settings import USER
from e2e.browser import AirflowPages, LinkedHome, chromium, kept_on_failure, served
from e2e.layout import LOCAL
from e2e.tests.site import Site, give_demo_stars
from plato_sas.api import Document
from plato_sas_airflow.batches.batch import resource_name

DAG = "plato_sas_star"
STAR = "kic-3733735"
CAMPAIGN = "one-star"
FOLDER = LOCAL / "browser"
PARAMETERS = {"msap3-03": {"mc_samples": 20}}
PRIORITY = 250
_RUN_SECONDS = 180
FIELDS = [
    "Star", "Campaign", "Pipeline", "Namespace", "Campaign before", "Parameters", "Inputs", "Priority", "Stages",
    "Run again", "Run again from",
]  # fmt: skip


@pytest.fixture(scope="module")
def star(site: Site) -> str:
    """A star of the demo, its light curve on the site's volume."""
    give_demo_stars(site, STAR)
    return STAR


@pytest.fixture(scope="module")
def products(site: Site) -> Iterator[str]:
    """The site's products, as the pages that tasks link to."""
    with served(site.products) as url:
        yield url


@pytest.fixture(scope="module")
def airflow(products: str) -> Iterator[AirflowService]:
    """The demo's Airflow, which has links while the tests run; it is left as it was found, running or not."""
    plain = AirflowService()
    found_running = plain.running()
    linked = LinkedHome(products_url=f"{products}/{{campaign}}/{{star}}/", campaign_url=f"{products}/{{campaign}}/")
    service = AirflowService(linked, dag_id=DAG)
    try:
        service.up()
        yield service
    finally:
        if found_running:
            plain.up()
        else:
            service.down()


@pytest.fixture
def pages(airflow: AirflowService) -> Iterator[AirflowPages]:
    with chromium() as driver:
        yield AirflowPages(driver, airflow.url)


@pytest.mark.alone  # it restarts the demo's Airflow, and a browser that waits for a processor draws no editors
@pytest.mark.timeout(300, func_only=True)
def test_a_star_from_the_form_to_its_products(
    site: Site, star: str, products: str, airflow: AirflowService, pages: AirflowPages
) -> None:
    with kept_on_failure(pages.driver, FOLDER):
        pages.log_in(USER, airflow.home.password(), f"/dags/{DAG}")
        pages.open_form("star")
        check_fields(pages)
        check_refusal(pages)
        fill_in(pages, star, site.namespace)
        pages.trigger()
        run = pages.run_id(DAG)
        assert pages.final_state(_RUN_SECONDS) == "Success"
        pages.picture(FOLDER / "run.png")
        check_processing(site.star(resource_name(star, CAMPAIGN)), star)

        pages.open_task(DAG, run, "star")
        assert pages.final_state(_RUN_SECONDS) == "Success"
        pages.open_details()
        links = pages.links("Products", "Campaign")
        assert links == {"Products": f"{products}/{CAMPAIGN}/{star}/", "Campaign": f"{products}/{CAMPAIGN}/"}
        pages.picture(FOLDER / "task.png")
        text = pages.follow("Products")
        assert pages.driver.current_url == links["Products"]
        pages.picture(FOLDER / "products.png")
        steps = site.published(star, CAMPAIGN)
        assert "msap4-03" in steps
        assert {f"{step}/" for step in steps} <= set(text.split())


def check_fields(pages: AirflowPages) -> None:
    """The form has a field of the right kind for every parameter, with the site's defaults."""
    assert pages.labels() == FIELDS
    values = {name: pages.field(name).get_property("value") for name in ("star", "campaign", "pipeline", "namespace")}
    assert values == {"star": "", "campaign": "demo", "pipeline": "sas-demo", "namespace": "plato"}
    priority = pages.field("priority")
    bounds = [priority.get_attribute(f"aria-value{name}") for name in ("min", "now", "max")]
    assert (priority.aria_role, bounds) == ("spinbutton", ["-1000", "100", "1000"])
    assert pages.options("stages") == ["", "Fused", "PerStep"]
    rerun = pages.field("rerun")
    assert (rerun.get_attribute("type"), rerun.is_selected()) == ("checkbox", False)
    assert pages.field("rerun_from").tag_name == "textarea"
    assert pages.json("parameters") == pages.json("inputs") == {}


def check_refusal(pages: AirflowPages) -> None:
    """A star that cannot be one starts nothing, and the form says which field is wrong."""
    pages.write("star", "no star")
    pages.trigger()
    assert "Invalid input for param star: 'no star' does not match" in pages.refusal()


def fill_in(pages: AirflowPages, star: str, namespace: str) -> None:
    pages.write("star", star)
    pages.write("campaign", CAMPAIGN)
    pages.write_json("parameters", PARAMETERS)
    pages.write("priority", str(PRIORITY))
    pages.choose("stages", "Fused")
    pages.picture(FOLDER / "form.png", "[data-testid='config-form']", height=2300)
    pages.write("namespace", namespace)


def check_processing(processing: Document, star: str) -> None:
    """What was filled in has reached the cluster, each value with its type."""
    wanted = {"star": star, "campaign": CAMPAIGN, "pipeline": "sas-demo", "stages": "Fused", "priority": PRIORITY}
    spec = processing["spec"]
    assert {name: spec[name] for name in wanted} == wanted
    assert spec["parameters"] == PARAMETERS
    assert processing["status"]["state"] == "Succeeded"
