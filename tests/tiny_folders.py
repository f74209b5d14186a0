"""Folders of every source with a few small pictures for each split, as the options of `train` name them."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.drawn_garments import photo, shirt
from train.pictures.splits import Split, split_of

UInt8Array = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

SPLITS: tuple[Split, ...] = ("training", "validation", "test")
WOOD, WHITE = (170, 170, 160), (255, 255, 255)
RED, BLUE, BLACK = (200, 20, 20), (30, 30, 160), (6, 6, 6)
STREET_NAMES = '["null", "skin", "coat", "bag"]'


def group(split: Split, form: str) -> str:
    """The first of the groups "form 0", "form 1" and so on that is in a split."""
    return next(name for name in map(form.format, range(1000)) if split_of(name) == split)


def run(split: Split) -> str:
    """Three digits that the numbers of a split's street photos begin with."""
    return next(f"{number:03}" for number in range(1000) if split_of(f"street {number:03}") == split)


def boxed(colour: Colour, background: Colour = WHITE) -> UInt8Array:
    """60x80, a box in the middle."""
    picture = np.full((80, 60, 3), background, np.uint8)
    picture[20:60, 15:45] = colour
    return picture


def write_folders(folder: Path) -> dict[str, Path]:
    """Write the folders, named as the options that take them: photos, street, shop, people, things and pictures."""
    lists = {
        "photos": ("photos.csv", "image,sender_id,label,kids"),
        "shop": ("shop.csv", "image,group,type,class"),
        "people": ("tags.csv", "photo,tags"),
        "things": ("things.csv", "image,kind"),
        "pictures": ("pictures.csv", "image,group,class"),
    }
    rows: dict[str, list[str]] = {name: [head] for name, (_, head) in lists.items()}
    crops = ["image,original_label,class"]
    pictures: dict[str, UInt8Array] = {}
    for split in SPLITS:
        sender, title, kind, room = (group(split, form) for form in ("{}", "title {}", "kind {}", "room {}"))
        rows["photos"] += [f"{split}-shirt,{sender},Shirt,False", f"{split}-hat,{sender},Hat,False"]
        pictures[f"photos/images/{split}-shirt"] = photo(shirt(60, 80), RED, WOOD)
        pictures[f"photos/images/{split}-hat"] = boxed(BLACK, WOOD)
        rows["shop"] += [f"{split}-bag,{title},Handbags,Bag", f"{split}-watch,{title},Watches,none"]
        pictures[f"shop/images/{split}-bag"] = boxed(RED)
        pictures[f"shop/images/{split}-watch"] = boxed(BLACK)
        rows["people"].append(f"{run(split)}5,bag coat pants")
        pictures[f"people/photos/{run(split)}5"] = boxed(BLUE, WOOD)
        crops.append(f"{run(split)}5_feet.jpg,boots,Ankle boot")
        pictures[f"people/crops/{run(split)}5_feet"] = boxed(RED, WOOD)
        rows["things"].append(f"{split}-apple,{kind}")
        pictures[f"things/images/{split}-apple"] = boxed(BLACK, WOOD)
        rows["pictures"] += [f"{split}-shoes.jpg,{room},Sandal|Sneaker", f"{split}-cup.jpg,{room},none"]
        pictures[f"pictures/{split}-shoes"] = boxed(RED, WOOD)
        pictures[f"pictures/{split}-cup"] = boxed(BLACK, WOOD)
        pictures[f"street/photos/{run(split)}7"] = photo(shirt(90, 120), BLUE, (190, 220, 180))
        masks = folder / "street" / "masks"
        masks.mkdir(parents=True, exist_ok=True)
        Image.fromarray(shirt(90, 120).astype(np.uint8) * 2).save(masks / f"{run(split)}7.png")
    for name, picture in pictures.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / f"{name}.jpg", quality=95, subsampling=0)
    for name, (file, _) in lists.items():
        (folder / name / file).write_text("\n".join(rows[name]) + "\n")
    (folder / "people" / "crops.csv").write_text("\n".join(crops) + "\n")
    (folder / "street" / "labels.json").write_text(STREET_NAMES)
    return {name: folder / name for name in (*lists, "street")}
