from pathlib import Path

import pytest

from fashion_classifier import LABELS
from train.pictures.shop import ARTICLE_TYPES, rows
from train.pictures.splits import split_of

GROUP = next(f"g{i}" for i in range(100) if split_of(f"g{i}") == "training")
ELSEWHERE = next(f"g{i}" for i in range(100) if split_of(f"g{i}") == "test")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    listed = [
        ("1", GROUP, "Jackets", "Coat"),
        ("2", GROUP, "Watches", "none"),
        ("3", GROUP, "Heels", "?"),
        ("4", GROUP, "Formal Shoes", "?"),
        ("5", GROUP, "Sarees", "?"),  # left out
        ("6", ELSEWHERE, "Shirts", "Shirt"),
    ]
    (tmp_path / "shop.csv").write_text("image,group,type,class\n" + "".join(",".join(row) + "\n" for row in listed))
    return tmp_path


def test_a_class_none_or_what_the_article_type_says(folder: Path) -> None:
    assert [(row.path, row.group, row.label, row.accepted) for row in rows(folder, "training")] == [
        (folder / "images" / "1.jpg", GROUP, "Jackets", ("Coat",)),
        (folder / "images" / "2.jpg", GROUP, "Watches", ()),
        (folder / "images" / "3.jpg", GROUP, "Heels", ("Sandal",)),
        (folder / "images" / "4.jpg", GROUP, "Formal Shoes", ("Sneaker", "Ankle boot")),
    ]
    assert [row.name for row in rows(folder, "test")] == ["6"]
    assert rows(folder, "validation") == []


def test_article_types_are_sets_of_ours() -> None:
    assert all(accepted and set(accepted) <= set(LABELS) for accepted in ARTICLE_TYPES.values())
