"""Many small pictures with a caption each, on one sheet."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

SIDE = 128  # px, longest side of a picture on the sheet
CELL = (152, 172)  # px, width and height that a picture takes with its caption
COLUMNS = 10
HEADER = 40  # px, height of the title's line


def contact_sheet(title: str, pictures: Sequence[tuple[Image.Image, str]]) -> Image.Image:
    """Row after row of pictures under a title.

    Args:
        title: One line of text.
        pictures: Each an RGB or gray picture, drawn at most `SIDE` pixels a side, and its caption of one or two lines.
    """
    width, height = CELL
    sheet = Image.new("RGB", (COLUMNS * width, HEADER + -(-len(pictures) // COLUMNS) * height), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((HEADER // 2, HEADER // 2), title, "black", ImageFont.load_default(18), anchor="lm")
    for i, (picture, caption) in enumerate(pictures):
        middle, top = i % COLUMNS * width + width // 2, HEADER + i // COLUMNS * height
        small = picture.copy()
        small.thumbnail((SIDE, SIDE))
        sheet.paste(small, (middle - small.width // 2, top + SIDE - small.height))
        draw.text((middle, top + SIDE + 4), caption, "black", ImageFont.load_default(12), anchor="ma", align="center")
    return sheet
