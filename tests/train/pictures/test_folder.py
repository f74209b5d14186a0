import re
from pathlib import Path

import numpy as np
import pytest

from fashion_classifier.images import load_image
from tests.tiny_folders import SPLITS
from train.pictures.folder import rows
from train.pictures.splits import split_of

GROUP = next(f"room {i}" for i in range(100) if split_of(f"room {i}") == "training")


def test_rows_of_anybody(tmp_path: Path) -> None:
    text = f"\ufeffimage,group,class\na.jpg,{GROUP},Coat\nsub/b.png,{GROUP},Sandal | Sneaker\nc.jpg,{GROUP},none\n"
    (tmp_path / "pictures.csv").write_text(text, encoding="utf-8")
    assert [(row.path, row.group, row.accepted) for row in rows(tmp_path, "training")] == [
        (tmp_path / "a.jpg", GROUP, ("Coat",)),
        (tmp_path / "sub" / "b.png", GROUP, ("Sandal", "Sneaker")),
        (tmp_path / "c.jpg", GROUP, ()),
    ]
    assert rows(tmp_path, "test") == []


@pytest.mark.parametrize("struct", [False, True])
def test_pictures_in_a_parquet_file(tmp_path: Path, struct: bool) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    content = Path("examples/coat.jpg").read_bytes()
    image = {"bytes": content, "path": "a.jpg"} if struct else content
    table = {"image": [image] * 2, "group": [GROUP, None], "class": ["Coat", "Sandal|Sneaker"], "sku": [1, 2]}
    path = tmp_path / "pictures.parquet"
    parquet.write_table(pa.table(table), path)
    every = [row for split in SPLITS for row in rows(path, split)]
    assert {(row.name, row.group, row.accepted) for row in every} == {
        ("pictures#0", GROUP, ("Coat",)),
        ("pictures#1", "pictures#1", ("Sandal", "Sneaker")),
    }
    assert all(np.array_equal(row.load(), load_image("examples/coat.jpg")) for row in every)
    assert {row.name for row in rows(path, "training")} >= {"pictures#0"}
    parquet.write_table(pa.table({"image": [content], "group": ["a"], "class": ["Boot"]}), path)
    with pytest.raises(ValueError, match=r"pictures\.parquet, row 0: the class 'Boot' is none of the ten"):
        rows(path, "training")


def test_a_picture_without_a_group_is_one_by_itself(tmp_path: Path) -> None:
    (tmp_path / "pictures.csv").write_text("image,group,class\na.jpg,,Bag\n")
    (row,) = rows(tmp_path, split_of("a.jpg"))
    assert row.group == "a.jpg"


def test_a_folder_without_a_list(tmp_path: Path) -> None:
    message = f"{tmp_path} holds no pictures.csv; it needs one with the columns image, group, class."
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(message)}$"):
        rows(tmp_path, "training")


def test_a_list_without_a_column(tmp_path: Path) -> None:
    (tmp_path / "pictures.csv").write_text("image,class\n")
    with pytest.raises(
        ValueError, match=r"lacks the column group; it needs image, group, class, and has \['image', 'class'\]\.$"
    ):
        rows(tmp_path, "training")


def test_a_class_that_is_none_of_the_ten(tmp_path: Path) -> None:
    (tmp_path / "pictures.csv").write_text("image,group,class\na.jpg,1,Coat\nb.jpg,1,Boot\n")
    with pytest.raises(
        ValueError, match=r"line 3: the class 'Boot' is none of the ten; allowed are T-shirt/top, .* and none\.$"
    ):
        rows(tmp_path, "training")
