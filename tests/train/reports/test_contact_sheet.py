import numpy as np
from PIL import Image

from train.reports.contact_sheet import CELL, COLUMNS, HEADER, SIDE, contact_sheet


def test_pictures_lie_in_rows_with_their_captions() -> None:
    wide, tall = Image.new("RGB", (400, 200), "red"), Image.new("L", (20, 40), 99)
    sheet = contact_sheet("A title", [(wide, "wide\n99%")] * COLUMNS + [(tall, "tall")])
    assert (sheet.mode, sheet.size) == ("RGB", (COLUMNS * CELL[0], HEADER + 2 * CELL[1]))
    assert wide.size == (400, 200)
    pixels = np.array(sheet)
    first = pixels[HEADER : HEADER + SIDE, : CELL[0]]
    rows, columns = np.nonzero((first == (255, 0, 0)).all(axis=2))
    assert (int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1) == (64, 128)  # 400x200 on at most 128 pixels
    assert rows.max() == SIDE - 1  # pictures stand on their captions
    assert np.count_nonzero((pixels == (255, 0, 0)).all(axis=2)) == COLUMNS * 64 * 128
    second = pixels[HEADER + CELL[1] : HEADER + CELL[1] + SIDE, : CELL[0]]
    assert np.count_nonzero((second == (99, 99, 99)).all(axis=2)) == 20 * 40  # small pictures are not enlarged
    for band in (pixels[:HEADER], pixels[HEADER + SIDE : HEADER + CELL[1], : CELL[0]]):
        assert band.min() < 64  # something is written
    assert pixels[HEADER + CELL[1] :, CELL[0] :].min() == 255  # nothing is


def test_without_pictures_there_is_the_title() -> None:
    assert contact_sheet("None", []).size == (COLUMNS * CELL[0], HEADER)
