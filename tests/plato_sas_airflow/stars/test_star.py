"""The stars of a batch: lists, files, slices, and what an author says of one star."""

from pathlib import Path

import pytest

from plato_sas_airflow.errors import BatchError
from plato_sas_airflow.stars.files import read_stars
from plato_sas_airflow.stars.star import Star, batch_slices, star_spec, stars_of


def names(stars: list[Star]) -> list[str]:
    return [star.name for star in stars]


def test_stars_come_as_a_list_or_as_its_json_text() -> None:
    assert names(stars_of(["a", "b", "a"])) == ["a", "b"]
    assert names(stars_of('["a", "b"]')) == ["a", "b"]
    assert names(stars_of(("a", "b"))) == ["a", "b"]


def test_a_star_may_have_fields_of_its_own() -> None:
    spec = star_spec("KIC1", parameters={"msap1": {"window": 3.5, "fill": True, "n": 2}}, priority=-5)
    assert spec == {"star": "KIC1", "parameters": {"msap1": {"window": "3.5", "fill": "true", "n": 2}}, "priority": -5}
    assert star_spec("KIC2", inputs={"DP1_LC_MERGED": {"path": "a/b.h5"}})["inputs"] == {
        "DP1_LC_MERGED": {"path": "a/b.h5"}
    }
    found = stars_of([spec, "KIC2", star_spec("KIC3")])
    assert found == [
        Star("KIC1", {"msap1": {"window": "3.5", "fill": "true", "n": 2}}, {}, -5),
        Star("KIC2"),
        Star("KIC3"),
    ]
    assert [star.serialize() for star in found] == [spec, "KIC2", "KIC3"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("KIC1, KIC2", "neither a list"),
        ("[]", "empty"),
        ([], "empty"),
        ([1], "1 is neither a name"),
        ('{"a": 1}', "not dict"),
        (None, "not NoneType"),
        ([{"star": "a", "prio": 1}], "'a' has unknown fields: prio"),
        (["a", {"star": "a", "priority": 1}], "'a' is listed twice"),
    ],
)
def test_a_wrong_list_is_named(value: object, message: str) -> None:
    with pytest.raises(BatchError, match=f"stars: .*{message}"):
        stars_of(value)


def test_a_wrong_field_of_one_star_is_named() -> None:
    with pytest.raises(BatchError, match=r"star 'a/b': star: .*pattern"):
        star_spec("a/b")
    with pytest.raises(BatchError, match=r"priority: .*less than or equal to 1000"):
        star_spec("KIC1", priority=5000)
    with pytest.raises(BatchError, match=r"parameters\.msap1\.x: expected a number, a text or a flag"):
        star_spec("KIC1", parameters={"msap1": {"x": [1]}})


@pytest.mark.parametrize(
    ("text", "column", "stars"),
    [
        ("KIC1\nKIC2\n", None, ["KIC1", "KIC2"]),
        ("# targets\n\nKIC1\nKIC1\n", None, ["KIC1"]),
        ("star,sample\nKIC1,P1\nKIC2,P5\n", None, ["KIC1", "KIC2"]),
        ("sample,star\nP1,KIC1\n", None, ["KIC1"]),
        ("\ufeffstar\nKIC1\n", None, ["KIC1"]),
        ("pic,teff\nKIC1,5777\n", "pic", ["KIC1"]),
        ('star,note\n"KIC1","a, b"\n', None, ["KIC1"]),
        ("KIC1,5777\nKIC2,6000\n", None, ["KIC1", "KIC2"]),
    ],
)
def test_stars_of_a_file(tmp_path: Path, text: str, column: str | None, stars: list[str]) -> None:
    file = tmp_path / "targets.csv"
    file.write_text(text)
    assert names(read_stars(str(file), column)) == stars
    assert names(read_stars(f"file://{file}", column)) == stars


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", None, "there is no star in it"),
        ("star\n", None, "there is no star in it"),
        ("star,x\nKIC1,1\n,2\n\n,3\n", None, "no star in line 3, 5"),
        ("a,b\nKIC1,1\n", "pic", "the first line has no column 'pic'"),
        ('star,x\nKIC1,"a\nb"\n', None, "runs over several lines"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path: Path, text: str, column: str | None, message: str) -> None:
    file = tmp_path / "targets.csv"
    file.write_text(text)
    with pytest.raises(BatchError, match=rf"stars_file: {file}: .*{message}"):
        read_stars(str(file), column)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=r"stars_file: .*absent\.csv: FileNotFoundError"):
        read_stars(str(tmp_path / "absent.csv"))


def test_slices_cover_everything_once() -> None:
    assert batch_slices(5, 2) == [[0, 2], [2, 4], [4, 5]]
    assert batch_slices(0, 2) == []
    assert len(batch_slices(250_000, 500)) == 500
    with pytest.raises(ValueError, match="size at least 1"):
        batch_slices(5, 0)
