from pathlib import Path

from train.pictures.splits import split_of
from train.pictures.things import rows


def test_a_kind_is_never_torn_apart(tmp_path: Path) -> None:
    (tmp_path / "things.csv").write_text("image,kind\na,Fruit/Apple\nb,Fruit/Apple\n")
    found = rows(tmp_path, split_of("Fruit/Apple"))
    assert [(row.path, row.group, row.accepted) for row in found] == [
        (tmp_path / "images" / f"{name}.jpg", "Fruit/Apple", ()) for name in ("a", "b")
    ]
