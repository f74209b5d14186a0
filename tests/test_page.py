"""The page in a real browser: Debian's Chromium, or Playwright's own."""

import io
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

import app
from fashion_classifier import Explanation, Prediction, explain, find_garments, predict
from fashion_classifier.masks import innermost
from fashion_classifier.monitoring import read_events
from page import words
from page.cameras import Cameras
from page.comparison import lesson
from page.limits import Bound
from page.payloads import Payload, read
from page.peers import Peers
from tests.patience import PATIENCE, eventually

pytest.importorskip("playwright", reason="no Playwright: pip install -e '.[dev]'")
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

expect.set_options(timeout=1000 * PATIENCE)  # ms

AXE = Path(__file__).parent.parent / "node_modules" / "axe-core" / "axe.min.js"
HOW_TO_GET_ONE = "no browser: apt-get install chromium, or python -m playwright install chromium"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """With a camera that shows trousers."""
    video = tmp_path_factory.mktemp("camera") / "trousers.mjpeg"
    with Image.open("examples/trouser.jpg") as photo, sync_playwright() as driver:
        scene = ImageOps.pad(photo.convert("RGB"), (640, 480), color="tan")
        frame = io.BytesIO()
        scene.save(frame, "jpeg", quality=90)
        video.write_bytes(frame.getvalue() * 2)
        executable = shutil.which("chromium") or shutil.which("chromium-browser") or driver.chromium.executable_path
        if not Path(executable).is_file():
            pytest.skip(HOW_TO_GET_ONE)
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        arguments += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        arguments.append(f"--use-file-for-fake-video-capture={video}")
        running = driver.chromium.launch(executable_path=executable, args=arguments, timeout=1000 * PATIENCE)
        yield running
        running.close()


# what does not depend on the layout is tested in one
ONCE = pytest.mark.parametrize("page", [(1280, 900, "light")], ids=["wide-light"], indirect=True)


@pytest.fixture(params=[(1280, 900, "light"), (390, 844, "dark")], ids=["wide-light", "phone-dark"])
def page(browser: Browser, url: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, height, scheme = request.param
    opened = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    opened.set_default_timeout(1000 * PATIENCE)
    opened.goto(url)
    yield opened
    opened.close()


def verdict(page: Page) -> Locator:
    return page.locator("#verdict h2")


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()  # all fit, on a phone too, and none is in Gradio's menu


def why(prediction: Prediction) -> str:
    """The sentence under the map of an answer."""
    return words.map_sentence(explain(prediction)).replace("*", "")


def test_upload_read_and_explain(page: Page) -> None:
    expected = predict("examples/coat.jpg")
    page.locator("#picture input[type=file]").set_input_files("examples/coat.jpg")
    expect(verdict(page)).to_have_text(words.verdict(expected))
    for label, probability in expected.top(3):
        expect(page.locator("#bars")).to_contain_text(label)
        expect(page.locator("#bars")).to_contain_text(words.percent(probability))
    page.get_by_role("button", name="How it got there").click()
    for element in ("#isolated", "#seen", "#thumbnail", "#overlay"):
        page.locator(element).scroll_into_view_if_needed()  # pictures are loaded when they come near
        expect(page.locator(f"{element} img")).to_be_visible()
    expect(page.locator("#comment")).to_have_text(why(expected))
    expect(page.locator("#version")).to_contain_text(f"by model {expected.model_version}.")
    # nothing sticks out sideways
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_an_example_another_target_and_a_bad_file(page: Page, tmp_path: Path) -> None:
    page.locator(".gallery-item").nth(1).click()
    expected = predict("examples/trouser.jpg")
    expect(verdict(page)).to_have_text(words.verdict(expected))
    expect(page.locator("#comment")).to_have_text(why(expected))

    page.locator("#target input").click()
    page.get_by_role("option", name="Dress").click()
    expect(page.locator("#comment")).to_contain_text("Dress")

    page.get_by_label("Clear").or_(page.get_by_label("Remove Image")).first.click()
    expect(verdict(page)).to_have_count(0)

    bad = tmp_path / "bad.png"
    Image.new("RGB", (1, 300)).save(bad)
    page.locator("#picture input[type=file]").set_input_files(bad)
    expect(page.get_by_text("has 1x300 pixels, too few to show a garment.").first).to_be_visible()
    expect(verdict(page)).to_have_count(0)


@ONCE
def test_why_not_the_name_that_is_second(page: Page) -> None:
    page.locator("#picture input[type=file]").set_input_files("examples/shirt.jpg")
    prediction = predict("examples/shirt.jpg")
    expect(page.locator("#comment")).to_have_text(why(prediction))
    second = words.second(prediction)
    page.get_by_role("button", name=f"Why not {second}?").click()
    expected = words.map_sentence(explain(prediction, against=second)).replace("*", "")
    expect(page.locator("#comment")).to_have_text(expected)
    expect(page.locator("#against input")).to_have_value(second)
    page.locator("#picture input[type=file]").set_input_files("examples/dress.jpg")
    expect(page.locator("#comment")).to_have_text(why(predict("examples/dress.jpg")))
    expect(page.locator("#against input")).to_have_value("all others")


@ONCE
def test_the_map_is_of_the_picture_that_came_last(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(prediction: Prediction, **options: Any) -> Explanation:
        begun.set()
        assert go_on.wait(PATIENCE)
        return explain(prediction, **options)

    monkeypatch.setattr("page.service.explain", slow)
    page.locator(".gallery-item").nth(0).click()
    expect(verdict(page)).to_contain_text("T-shirt/top")
    assert begun.wait(PATIENCE)
    page.locator(".gallery-item").nth(3).click()
    expect(verdict(page)).to_contain_text("Dress")
    go_on.set()
    expect(page.locator("#comment")).to_contain_text("What is brightest speaks most for Dress, ")


@ONCE
def test_of_none_of_the_ten_nothing_is_named(page: Page) -> None:
    assert predict("examples/hat.jpg").uncertain
    page.locator("#picture input[type=file]").set_input_files("examples/hat.jpg")
    expect(verdict(page)).to_have_text("Not sure: this may be none of the ten")
    expect(page.locator("#verdict")).to_contain_text("This picture looks like none of them.")
    expect(page.locator("#comment")).to_contain_text("No name fits, so there is nothing to explain.")
    expect(page.locator("#bars")).to_have_text("")
    page.locator("#target input").click()
    page.get_by_role("option", name="Bag").click()
    expect(page.locator("#comment")).to_contain_text("speaks most for Bag")


@ONCE
def test_a_picture_that_browsers_do_not_show_is_shown_nevertheless(page: Page, tmp_path: Path) -> None:
    expected = predict("tests/fixtures/shirt.heic")
    page.locator("#picture input[type=file]").set_input_files("tests/fixtures/shirt.heic")
    expect(verdict(page)).to_have_text(words.verdict(expected))
    expect(page.locator("#comment")).to_have_text(why(expected))
    expect(page.locator("#picture img")).to_have_js_property("naturalWidth", 240)
    expect(page.locator("#picture img")).to_have_js_property("naturalHeight", 320)

    bad = tmp_path / "bad.heic"
    bad.write_bytes(Path("tests/fixtures/shirt.heic").read_bytes()[:1000])
    page.get_by_label("Clear").or_(page.get_by_label("Remove Image")).first.click()
    page.locator("#picture input[type=file]").set_input_files(bad)
    expect(page.get_by_text("damaged").first).to_be_visible()
    expect(verdict(page)).to_have_count(0)


@ONCE
def test_of_pictures_in_quick_succession_the_last_one_stays(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, running = threading.Event(), list[Payload]()

    def slow(image: Payload) -> bytes:
        running.append(image)
        begun.set()
        time.sleep(1.5)
        running.pop()
        return read(image)

    monkeypatch.setattr("page.pictures.read", slow)  # what makes of a HEIC photo one that browsers show
    for last, width in (("examples/dress.jpg", 240), ("tests/fixtures/turned.heic", 192)):
        begun.clear()
        page.locator("#picture input[type=file]").set_input_files("tests/fixtures/shirt.heic")
        assert begun.wait(PATIENCE)
        page.get_by_label("Clear").or_(page.get_by_label("Remove Image")).first.click()
        page.locator("#picture input[type=file]").set_input_files(last)
        expect(verdict(page)).to_have_text(words.verdict(predict(last)))
        eventually(lambda: not running)  # what was still coming has come
        expect(verdict(page)).to_have_text(words.verdict(predict(last)))
        expect(page.locator("#picture img")).to_have_js_property("naturalWidth", width)
        page.get_by_label("Clear").or_(page.get_by_label("Remove Image")).first.click()


def tap(page: Page, element: str, point: tuple[float, float], size: tuple[int, int]) -> None:
    """Tap where a point of a picture of (width, height) pixels is shown, the whole of it as large as fits."""
    image = page.locator(f"{element} img")
    image.scroll_into_view_if_needed()
    box = image.bounding_box()
    assert box is not None
    scale = min(box["width"] / size[0], box["height"] / size[1])
    x = box["x"] + box["width"] / 2 + (point[0] + 0.5 - size[0] / 2) * scale
    y = box["y"] + box["height"] / 2 + (point[1] + 0.5 - size[1] / 2) * scale
    page.mouse.click(x, y)


def test_every_garment_is_named_by_a_chip_and_by_a_tap(page: Page, outfit: Path) -> None:
    first, second, *_ = find_garments(outfit)
    size = first.image.size
    page.locator("#picture input[type=file]").set_input_files(outfit)
    expect(verdict(page)).to_have_text(words.verdict(first))
    chips = page.locator("#garments label")
    expect(chips).to_have_count(len(find_garments(outfit)))
    expect(chips.nth(0)).to_have_text(words.verdict(first))

    page.locator("#garments input").nth(1).focus()
    page.keyboard.press("Space")  # as who has no pointer
    expect(verdict(page)).to_have_text(words.verdict(second))
    expect(page.locator("#comment")).to_have_text(why(second))

    page.get_by_role("button", name="How it got there").click()
    for element, meant in (("#isolated", first), ("#picture", second)):
        point = innermost(meant.image.mask)
        named = predict(outfit, at=point)
        tap(page, element, point, size)
        expect(verdict(page)).to_have_text(re.compile(f"{named.label}, "))
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_one_garment_has_no_chips(page: Page) -> None:
    page.locator(".gallery-item").nth(1).click()
    expect(page.locator("#comment")).to_contain_text("What is brightest speaks most for Trouser, ")
    expect(page.locator("#garments")).to_be_hidden()


def test_a_picture_through_three_networks(page: Page) -> None:
    """That of the first tab first, then one of its own, which stays."""
    page.locator("#picture input[type=file]").set_input_files("examples/dress.jpg")
    expect(verdict(page)).to_contain_text("Dress")
    open_tab(page, "Compare")
    peers = Peers(app.service)
    for path in ("examples/dress.jpg", "examples/fashion-mnist-bag.png", "examples/hat.jpg"):
        _, opinions = peers.answer(Path(path).read_bytes())
        told = ["Not sure" if opinion.uncertain else words.verdict(opinion) for opinion in opinions]
        expect(page.locator("#answers .name")).to_have_text(told)
        expect(page.locator("#lesson")).to_contain_text(lesson(opinions).replace("**", "")[:30])
        expect(page.locator("#answers img")).to_have_count(3)
        open_tab(page, "Classify")
        open_tab(page, "Compare")
        expect(page.locator("#answers .name")).to_have_text(told)
        page.locator("#compared-picture").get_by_label("Clear").or_(page.get_by_label("Remove Image").last).first.click()
        expect(page.locator("#answers .name")).to_have_count(0)
        following = {"examples/dress.jpg": "examples/fashion-mnist-bag.png"}.get(path, "examples/hat.jpg")
        page.locator("#compared-picture input[type=file]").set_input_files(following)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_comparison_is_drawn(page: Page) -> None:
    expect(page.locator("#comparison")).to_be_hidden()
    open_tab(page, "Compare")
    expect(page.locator("#comparison")).to_contain_text("T-shirt/top and Shirt")
    plots = page.locator("#comparison svg")
    expect(plots).to_have_count(4)
    for plot in plots.all():
        box = plot.bounding_box()
        assert box is not None
        assert box["width"] >= 300  # then its letters have 10 px
        expect(plot).to_have_attribute("aria-label", re.compile("dense|residual|convolutional|Accuracy"))
    page.locator("#rescued").scroll_into_view_if_needed()
    expect(page.locator("#rescued img")).to_have_js_property("complete", True)
    assert page.locator("#rescued img").evaluate("image => image.naturalWidth") > 300
    page.get_by_role("button", name="The whole report").click()
    expect(page.locator("#report table").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_camera_is_named(page: Page) -> None:
    open_tab(page, "Live")
    page.get_by_role("button", name="Click to Access Webcam").click()
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#live-name h2")).to_have_text("Trouser")
    expect(page.locator("#live-bars li")).to_have_count(3)
    if AXE.is_file():
        assert barriers(page) == []
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Record")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    eventually(lambda: not app.demo._queue.event_queue_per_concurrency_id["live"].current_concurrency)
    app.service.cameras = Cameras()  # as if time had passed


@ONCE
def test_a_camera_stops_by_itself(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """And sends no frames any more, though the browser would open the next stream."""
    (live,) = (fn for fn in app.demo.fns.values() if fn.connection == "stream")
    monkeypatch.setattr(live, "time_limit", 1)
    cameras = Cameras()
    monkeypatch.setattr(app.service, "cameras", cameras)
    open_tab(page, "Live")
    page.get_by_role("button", name="Click to Access Webcam").click()
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#live-name h2")).to_have_text("Trouser")
    (camera,) = cameras._places
    eventually(lambda: not cameras.watches(camera))
    expect(page.get_by_role("button", name="Record")).to_be_visible()


@ONCE
def test_a_camera_whose_frames_are_too_large(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("guard", "live"):
        monkeypatch.setattr(f"page.{module}.FRAME", Bound("frame", 1000, "choose a lower resolution of the camera"))
    monkeypatch.setattr(app.service, "cameras", Cameras())
    open_tab(page, "Live")
    page.get_by_role("button", name="Click to Access Webcam").click()
    page.get_by_role("button", name="Record").click()
    told = "Received a frame of 1,001 bytes or more; at most 1,000 are taken, choose a lower resolution of the camera."
    expect(page.locator("#live-name")).to_have_text(told)


def test_a_correction_is_noted(page: Page) -> None:
    page.locator(".gallery-item").nth(1).click()
    expect(verdict(page)).to_contain_text("%")
    page.get_by_role("button", name="Is the answer wrong?").click()
    page.locator("#right input").click()
    page.get_by_role("option", name="Dress").click()
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#thanks")).to_have_text("Thank you, noted without your picture.")
    correction = read_events(app.service.journal.folder)[-1]
    assert (correction["event"], correction["label"], correction["picture"]) == ("correction", "Dress", None)


@ONCE
def test_choices_and_consent_are_for_one_picture(page: Page) -> None:
    page.locator(".gallery-item").nth(1).click()
    expect(page.locator("#comment")).to_contain_text("What is brightest speaks most for Trouser")
    page.locator("#target input").click()
    page.get_by_role("option", name="Coat").click()
    expect(page.locator("#comment")).to_contain_text("Coat")
    page.get_by_role("button", name="Is the answer wrong?").click()
    page.locator("#keep input").check()
    page.locator("#right input").click()
    page.get_by_role("option", name="Dress").click()
    page.locator(".gallery-item").nth(3).click()
    expect(verdict(page)).to_contain_text("Dress")
    expect(page.locator("#keep input")).not_to_be_checked()
    expect(page.locator("#right input")).to_have_value("")
    expect(page.locator("#target input")).to_have_value("the answer")
    expect(page.locator("#comment")).to_contain_text("What is brightest speaks most for Dress")


@ONCE
def test_many_pictures_are_named_at_once(page: Page, tmp_path: Path) -> None:
    (tmp_path / "letter.jpg").write_text("Dear sir")
    open_tab(page, "Many")
    files = ["examples/coat.jpg", str(tmp_path / "letter.jpg"), "examples/dress.jpg"]
    page.locator("#files input[type=file]").set_input_files(files)
    expect(page.locator("#files")).to_contain_text("dress")
    page.get_by_role("button", name="Name them all").click()
    expect(page.locator("#progress")).to_have_text("2 of 3 named.")
    expect(page.locator("#named img")).to_have_count(2)
    expect(page.locator("#named")).to_contain_text("dress.jpg: Dress, ")
    expect(page.locator("#problems")).to_contain_text("letter.jpg")
    expect(page.locator("#problems")).to_contain_text("is not an image of a known format")
    with page.expect_download() as started:
        page.locator("#table a").first.click()
    lines = Path(started.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert [line.split(",")[0] for line in lines] == ["file", "coat.jpg", "letter.jpg", "dress.jpg"]


def test_monitoring_tells_how_the_page_is_used(page: Page) -> None:
    page.locator(".gallery-item").nth(1).click()
    expect(verdict(page)).to_contain_text("%")
    open_tab(page, "Monitoring")
    expect(page.locator("#monitoring dl")).to_contain_text("predictions")
    expect(page.locator("#monitoring")).to_contain_text("Predictions by day")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_answer_and_its_reason_come_first(page: Page) -> None:
    """On one screen where it is wide, on two on a phone, and before the examples."""
    page.locator("#picture input[type=file]").set_input_files("examples/coat.jpg")
    expect(page.locator("#overlay img")).to_be_visible()
    assert page.viewport_size is not None
    height, width = page.viewport_size["height"], page.viewport_size["width"]
    boxes = [
        page.locator(element).bounding_box() for element in ("#verdict", "#bars", "#overlay img", ".gallery-item >> nth=0")
    ]
    bottoms = [box["y"] + box["height"] for box in boxes if box is not None]
    assert max(bottoms[:3]) <= (height if width > 1000 else 2 * height)
    assert max(bottoms[:3]) < bottoms[3]


def test_the_description_of_plain_http_asks_nobody_else(browser: Browser, url: str) -> None:
    opened = browser.new_page()
    asked, complaints = list[str](), list[str]()
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.goto(f"{url}v1/docs")
    for path in ("/predict", "/garments", "/model"):
        expect(opened.locator(f'[data-path="{path}"]')).to_be_visible()
    opened.locator('[data-path="/predict"]').click()
    expect(opened.get_by_text("Name the garment in a picture.")).to_be_visible()
    opened.evaluate("fetch('https://example.org/').catch(() => 0)")  # which the policy refuses
    opened.close()
    assert len(asked) >= 4
    assert [address for address in asked if not address.startswith((url, "data:"))] == []
    assert [text for text in complaints if "https://example.org/" not in text] == []
    assert complaints != []


def barriers(page: Page) -> list[str]:
    """What axe-core calls serious or critical for people who see little, hear the page or use no mouse."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("async () => (await axe.run()).violations.map(v => [v.impact, v.id, v.nodes[0].html])")
    return [f"{rule}: {html}" for impact, rule, html in found if impact in ("serious", "critical")]


@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core: npm install --no-save axe-core@4")
def test_nobody_is_kept_out(page: Page, outfit: Path) -> None:
    expect(page.locator(".gallery-item[aria-label='Example: coat']")).to_be_visible()
    assert barriers(page) == []
    page.locator("#picture input[type=file]").set_input_files(outfit)
    expect(page.locator("#garments")).to_be_visible()
    page.get_by_role("button", name="How it got there").click()
    page.get_by_role("button", name="Is the answer wrong?").click()
    for element in ("#overlay", "#isolated", "#thumbnail"):
        expect(page.locator(f"{element} img")).not_to_have_attribute("alt", "")
    assert barriers(page) == []
    for name in ("Live", "Many", "Compare", "Monitoring", "About"):
        open_tab(page, name)
        if name == "Compare":  # about the picture of the first tab
            expect(page.locator("#answers .name")).to_have_count(3)
        assert barriers(page) == []
