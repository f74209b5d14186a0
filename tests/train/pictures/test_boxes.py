import numpy as np

from train.pictures.boxes import box_of, on_white, widened


def test_a_box_and_its_margin() -> None:
    mask = np.zeros((60, 80), np.uint8)
    mask[10:30, 20:60] = 255
    assert box_of(mask) == (20, 10, 40, 20)
    assert widened((20, 10, 40, 20), 0.1) == (slice(6, 34), slice(16, 64))  # 4 px, a tenth of the longer side
    assert widened((20, 2, 40, 20), 0.1)[0] == slice(0, 26)


def test_what_stands_out_from_white_is_filled() -> None:
    photo = np.full((40, 40, 3), 250, np.uint8)  # near white: JPEG noise
    photo[10:30, 10:30] = (255, 255, 200)
    photo[15:20, 15:20] = 255  # a white print on it
    expected = np.zeros((40, 40), np.uint8)
    expected[10:30, 10:30] = 1
    np.testing.assert_array_equal(on_white(photo), expected)
