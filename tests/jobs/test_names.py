"""Names that the operator gives: valid, deterministic, and never the same for two attempts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plato_sas.jobs import names

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")

steps = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)
stars = st.from_regex(SUBDOMAIN, fullmatch=True).filter(lambda name: len(name) <= 253)


@given(stars, st.uuids().map(str), steps, st.integers(1, 9999))
def test_a_jobs_name_is_valid_as_name_and_as_label(star: str, uid: str, step: str, attempt: int) -> None:
    name = names.job_name(star, uid, step, attempt)
    assert len(name) <= 63
    assert SUBDOMAIN.fullmatch(name)
    assert LABEL.fullmatch(name), "the Job controller labels the pods with it"


def test_the_same_attempt_has_the_same_name_and_a_readable_one() -> None:
    name = names.job_name("kic-8006161", "uid-1", "msap1", 2)
    assert name == names.job_name("kic-8006161", "uid-1", "msap1", 2)
    assert re.fullmatch(r"kic-8006161-msap1-[0-9a-f]+-2", name)


def test_other_attempts_steps_and_stars_have_other_names() -> None:
    long = "baseline-q1-" + "x" * 80
    made = [
        names.job_name(star, uid, step, attempt)
        for star, uid in (("a", "1"), ("a", "2"), (long + "1", "3"), (long + "2", "4"))
        for step in ("msap1", "s", "t-s")
        for attempt in (1, 11)
    ]
    assert len(set(made)) == len(made)


def test_where_a_long_name_is_cut_does_not_make_two_steps_one() -> None:
    """The cut may leave of the star just what the other step begins with."""
    for padding in range(30, 63):
        star = "x" * padding + "-foo-" + "y" * 63
        assert names.job_name(star, "uid", "s", 1) != names.job_name(star, "uid", "foo-s", 1)


def test_fifty_thousand_stars_with_one_long_prefix_keep_their_own_names() -> None:
    prefix, step = "plato-sas-baseline-" + "x" * 20, "m" * 32
    made = {names.job_name(f"{prefix}{index:06d}", f"uid-{index}", step, 1) for index in range(50_000)}
    assert len(made) == 50_000


def test_a_label_value_fits_and_tells_long_names_apart() -> None:
    assert names.label_value("kic-8006161") == "kic-8006161"
    first, second = names.label_value("x" * 80 + "1"), names.label_value("x" * 80 + "2")
    assert first != second
    assert len(first) == 63
    assert LABEL.fullmatch(first)


def test_a_step_called_publish_is_not_the_stager() -> None:
    assert names.step_container("publish") != names.PUBLISH
    assert names.container_step(names.step_container("publish")) == "publish"
    assert names.container_step(names.PUBLISH) is None
    assert names.container_step(names.STAGE_IN) is None


@given(st.dictionaries(steps, st.integers(1, 9999), min_size=1, max_size=16))
def test_a_jobs_steps_are_read_back_in_their_order(numbers: dict[str, int]) -> None:
    assert list(names.annotated_steps(names.steps_annotation(numbers)).items()) == list(numbers.items())


@pytest.mark.parametrize("text", ["", "a", "a=", "a=x", "a=1,", "a=1;b=2", "=1", "A=1"])
def test_an_annotation_that_somebody_else_has_written_names_no_steps(text: str) -> None:
    assert names.annotated_steps(text) == {}


def test_a_salvage_is_named_for_what_it_salvages_and_keeps_its_number() -> None:
    made = [
        names.salvage_name("kic-8006161", "uid-1", job, step, number)
        for job in ("job-1", "job-2")
        for step in ("a", "b")
        for number in (1, 2)
    ]
    assert len(set(made)) == len(made)
    assert [names.salvage_number(name) for name in made] == [1, 2] * 4
    assert all(re.fullmatch(r"kic-8006161-salvage-[0-9a-f]+-[12]", name) for name in made)
    assert names.salvage_number("somebodys-job") == 0


def test_the_operator_knows_the_names_that_it_gives() -> None:
    star, uid = "kic-1" * 20, "0f-uid"
    numbers = {"msap1": 2, "msap2": 1}
    made = names.job_name(star, uid, "msap1", 2)
    assert names.made_for(made, star, uid, numbers)
    assert names.made_for(names.salvage_name(star, uid, made, "msap1", 3), star, uid, numbers)
    assert not names.made_for(names.job_name(star, "another", "msap1", 2), star, uid, numbers)
    assert not names.made_for(names.job_name(star, uid, "msap1", 1), star, uid, numbers)
    assert not names.made_for("forged", star, uid, numbers)
    assert not names.made_for(made, star, uid, {})
