"""A product on which the HDF5 library crashes or hangs is a problem of its star, and the others are read."""

from pathlib import Path

from plato_sas.collector.order import CatalogueOrder, ColumnOrder, StepOrder, TableOrder
from plato_sas.collector.reading import read_stars
from tests.support.tree import hdf5, publish_step

ORDER = CatalogueOrder(
    name="c", campaign="q1", pipeline="p", revision="r", attempt="try-1", processes=1,
    steps=[StepOrder("fit", "fit")],
    tables=[TableOrder("T", [ColumnOrder("x", "number", "fit", output="OUT", unit="solMass")])],
)  # fmt: skip
# Single bytes, found by damaging this very file in every way.
HANGS = (3032, 0x1D)
CRASHES = (7193, 0xD9)


def test_a_star_that_ends_its_reader_is_left_out_and_named(tmp_path: Path) -> None:
    sound = hdf5(tmp_path / "f", "OUT", {"value": 1.5}, "Msun", source="X")
    products = {name: bytearray(sound) for name in ("a-1", "crashes", "hangs", "s-1", "s-2")}
    for name, (at, byte) in (("crashes", CRASHES), ("hangs", HANGS)):
        products[name][at] = byte
    for name, content in products.items():
        publish_step(tmp_path, "q1", name, "fit", outputs={"OUT.h5": bytes(content)})
    batches = list(read_stars(tmp_path / "q1", sorted(products), ORDER))
    assert [line for batch in batches for line in batch.problems] == [
        f"q1/{name}: reading its products crashed or did not end" for name in ("crashes", "hangs")
    ]
    assert sum(batch.stars for batch in batches) == len(products)
    assert sum(batch.with_problems for batch in batches) == 2
    assert [sum(counts) for counts in zip(*(batch.left_out for batch in batches), strict=True)] == [2]
    assert sum(bool(batch.packed[0]) for batch in batches) == 3
