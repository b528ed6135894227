"""The page in a real headless Chromium: it opens in silence, and answers to mouse and keys."""

import os
import re
import shutil

import pytest

from pipeline.qc import write_page
from tests.pipeline.qc.makers import COUNT, CUT, WRONG


@pytest.fixture(scope="module")
def browser():
    """Chromium from PATH; FAIL_WITHOUT_CHROMIUM=1 turns the skip into a failure where there should be one."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if binary is None:
        if os.environ.get("FAIL_WITHOUT_CHROMIUM"):
            pytest.fail("FAIL_WITHOUT_CHROMIUM is set and there is no Chromium")
        pytest.skip("needs Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=binary, args=["--disable-gpu"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def opened(browser, page_file):
    """(page, everything it complained about, every address it asked for)."""
    page = browser.new_page(viewport={"width": 1366, "height": 768})
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(page_file.as_uri())
    page.wait_for_selector("#stage[data-frame]")
    yield page, complaints, requests
    page.close()


def shown(page, frame):
    """Wait until the stage shows this frame; its two pictures are those of the strip."""
    page.wait_for_selector(f'#stage[data-frame="{frame}"]', timeout=5000)
    same = """frame => {
        const [, before, after] = data.strip.frames.find(entry => entry[0] === frame);
        const address = id => document.querySelector(`#${id} img`).src;
        return address("before") === before && address("after") === after;
    }"""
    assert page.evaluate(same, frame)


def clip_path(page):
    style = page.evaluate("getComputedStyle(document.getElementById('after')).clipPath")
    return float(re.findall(r"([\d.]+)%", style)[-1])


def test_opens_without_a_complaint_and_asks_for_nothing(opened, page_file):
    page, complaints, requests = opened
    shown(page, WRONG)  # begins at the worst frame
    assert page.evaluate("document.querySelector('#after img').naturalWidth") == 144
    assert page.locator("#plots .uplot").count() == 7
    assert "no other frame was encoded" in page.locator('.plot[data-key="wplus"] h3').inner_text()
    assert page.locator("#boxes .uplot").count() == 2
    assert page.locator("#worst .thumb").first.get_attribute("data-frame") == str(WRONG)
    assert page.locator("#worst .thumb").count() <= 10
    assert page.locator("#contact img").count() == 24
    assert page.locator("h1").inner_text() == "out <1>.mp4"
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [page_file.as_uri()]


def test_the_divider_follows_mouse_and_keys(opened):
    page, complaints, _ = opened
    box = page.locator("#stage").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.5, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.2, y, steps=3)
    page.mouse.up()
    assert clip_path(page) == pytest.approx(20, abs=1)
    page.mouse.move(box["x"] + box["width"] * 0.9, y)  # the button is up: nothing moves
    assert clip_path(page) == pytest.approx(20, abs=1)
    page.focus("#divider")
    page.keyboard.press("ArrowRight")
    assert clip_path(page) == pytest.approx(22, abs=1)
    page.keyboard.press("1")
    assert clip_path(page) == 100
    page.keyboard.press("3")
    assert clip_path(page) == 50
    page.evaluate("document.activeElement.blur()")
    assert complaints == []


def test_a_click_on_a_plot_shows_that_frame(opened):
    page, complaints, _ = opened
    over = page.locator('.plot[data-key="warp"] .u-over')
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    for frame in (7, 19):  # the axis runs from frame 0 to the last
        page.mouse.click(box["x"] + box["width"] * frame / (COUNT - 1), box["y"] + box["height"] / 2)
        shown(page, frame)
        assert f"frame {frame} " in page.locator("#where").inner_text()
        head = page.evaluate("parseFloat(document.querySelector('.plot[data-key=warp] .playhead').style.left)")
        assert head == pytest.approx(box["width"] * frame / (COUNT - 1), abs=2)
    boxes = page.locator('#boxes [data-key="warp_boxes"] .u-over')
    boxes.scroll_into_view_if_needed()
    box = boxes.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + 20)  # the second shot
    shown(page, CUT)
    assert complaints == []


def test_a_frame_that_is_not_embedded_is_replaced_by_the_nearest_and_says_so(browser, clips, tmp_path):
    file = write_page(*clips, page=tmp_path / "few.html", metrics=False, pictures_mb=0.01)
    page = browser.new_page(viewport={"width": 1366, "height": 768})
    page.goto(file.as_uri())
    page.wait_for_selector("#stage[data-frame]")
    embedded = page.evaluate("data.strip.frames.map(frame => frame[0])")
    assert page.evaluate("data.strip.step") > 1
    asked = next(n for n in range(3, COUNT) if n not in embedded)
    over = page.locator('.plot[data-key="eyes"] .u-over')
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    page.mouse.click(box["x"] + box["width"] * asked / (COUNT - 1), box["y"] + box["height"] / 2)
    nearest = min(embedded, key=lambda n: abs(n - asked))
    shown(page, nearest)
    where = page.locator("#where").inner_text()
    assert f"frame {nearest} " in where
    assert where.endswith(f"the nearest one embedded to frame {asked}")
    page.keyboard.press("Home")
    shown(page, embedded[0])
    assert "nearest" not in page.locator("#where").inner_text()
    page.close()


def test_keys_step_frames_and_play_runs(opened):
    page, complaints, _ = opened
    page.keyboard.press("Home")
    shown(page, 0)
    assert "passed" in page.locator("#frame-facts").inner_text()
    page.keyboard.press("ArrowLeft")
    shown(page, 0)
    for frame in (1, 2, 3):
        page.keyboard.press("ArrowRight")
        shown(page, frame)
    page.keyboard.press("ArrowLeft")
    shown(page, 2)
    page.keyboard.press("End")
    shown(page, COUNT - 1)
    page.click("#contact .thumb >> nth=0")
    shown(page, 1)
    page.keyboard.press("Home")
    page.click("#play")
    for _ in range(100):
        if int(page.locator("#stage").get_attribute("data-frame")) >= 3:
            break
        page.wait_for_timeout(100)
    else:
        pytest.fail("playing does not move on")
    page.click("#play")
    page.locator("#scrub").fill("12")
    shown(page, 12)
    page.keyboard.press("d")
    assert "difference" in page.locator("#stage").get_attribute("class")
    page.keyboard.press("d")
    assert complaints == []


def test_it_reads_in_the_dark_and_in_a_narrow_window(opened):
    page, complaints, _ = opened
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.set_viewport_size({"width": 700, "height": 700})
    wide = "document.documentElement.scrollWidth"
    for _ in range(100):  # the plots follow some frames later
        if page.evaluate(wide) <= 700:
            break
        page.wait_for_timeout(50)
    assert page.evaluate(wide) <= 700
    assert complaints == []
