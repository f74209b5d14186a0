import re
from pathlib import Path

import pytest

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
