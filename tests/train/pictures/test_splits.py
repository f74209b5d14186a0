import pytest

from train.pictures.splits import split_of


def test_splits_are_by_sender_and_stable() -> None:
    assert [split_of(str(sender)) for sender in (181, 95, 344, 48)] == ["training", "validation", "validation", "training"]
    counts = {split: sum(split_of(str(i)) == split for i in range(2_000)) for split in ("training", "validation", "test")}
    assert counts["training"] == pytest.approx(1_200, abs=100)
    assert counts["validation"] == pytest.approx(400, abs=70)
