"""The page as a file: what it holds, what it must not do, and what a user can do wrong."""

import json
import re

import pytest

from pipeline.fingerprint import report_path
from pipeline.qc import page_path, write_page
from pipeline.qc.series import MOST_POINTS, Line, Plot, step_of
from run_pipeline import run
from stages.errors import MediaError
from tests.helpers import moving, write_clip
from tests.pipeline.qc.makers import COUNT, CUT, HOSTILE, WRONG
from tests.pipeline.tiny import write_png


@pytest.fixture(scope="module")
def html(page_file):
    return page_file.read_text(encoding="utf-8")


def data_of(html):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_it_holds_every_frame_and_names_the_wrong_one_first(html):
    data = data_of(html)
    assert [frame[0] for frame in data["strip"]["frames"]] == list(range(COUNT))
    assert data["worst"][0]["frame"] == WRONG
    assert data["worst"][0]["failed"]
    assert len(data["worst"]) <= 10
    assert data["cuts"] == [CUT]
    assert data["decisions"]["passed"] == [[0, 1]]
    assert data["decisions"]["filled"] == [[5, 5]]
    assert data["decisions"]["several_faces"] == [[CUT, COUNT - 1]]


def test_plots_have_one_value_per_frame_and_none_across_the_cut(html):
    plots = {plot["key"]: plot for plot in data_of(html)["plots"]}
    assert list(plots) == ["change", "warp", "pop", "wplus", "eyes", "angle", "score"]
    assert all(len(line["values"]) == COUNT for plot in plots.values() for line in plot["lines"])
    change = plots["change"]["lines"][1]["values"]
    assert change[0] is None
    assert change[CUT] is None
    assert change[1] > 0
    pop = plots["pop"]["lines"][1]["values"]
    assert pop.index(max(value for value in pop if value is not None)) == WRONG
    first, second = (line["values"] for line in plots["eyes"]["lines"])
    assert first[:3] == [None, None, 30.2]
    assert second[CUT - 1 : CUT + 1] == [None, 21.0]
    assert plots["score"]["lines"][0]["values"][5] == 0
    assert plots["wplus"]["lines"][0]["values"] == [0.5 if n > 1 and n % 4 == 0 else None for n in range(COUNT)]
    assert plots["wplus"]["dots"]
    assert "no other frame was encoded" in plots["wplus"]["note"]


def test_boxes_are_ordered(html):
    charts = data_of(html)["boxes"]
    assert [chart["key"] for chart in charts] == ["change_boxes", "warp_boxes"]
    for chart in charts:
        assert [shot["first"] for shot in chart["shots"]] == [0, CUT]
        for shot in chart["shots"]:
            assert shot["input"] == sorted(shot["input"])
            assert shot["output"] == sorted(shot["output"])


def test_nothing_in_a_report_becomes_markup_and_nothing_is_loaded(html):
    assert HOSTILE not in html
    assert "&lt;b&gt;warning&lt;/b&gt;" in html
    assert "tiny &lt;model&gt; &amp; more" in html
    assert "out &lt;1&gt;.mp4" in html
    assert "ab" * 32 in html
    assert "No plot of w+" not in html
    assert "default-src &#39;none&#39;" in html or "default-src 'none'" in html
    assert not re.search(r'(src|href)="(?!data:|#)', html)


def test_pictures_stay_within_their_limit(clips, tmp_path):
    pages = [write_page(*clips, page=tmp_path / f"{mb}.html", metrics=False, pictures_mb=mb) for mb in (0.01, 3)]
    few, all_frames = (data_of(page.read_text(encoding="utf-8")) for page in pages)
    assert few["strip"]["step"] > 1
    assert all_frames["strip"]["step"] == 1
    assert set(few["contact"]) <= {frame[0] for frame in few["strip"]["frames"]}
    assert pages[0].stat().st_size < pages[1].stat().st_size
    assert not few["worst"]
    assert [plot["key"] for plot in few["plots"]] == ["wplus", "eyes", "angle", "score"]


def test_long_plots_are_thinned_and_keep_their_peaks():
    count = 3 * MOST_POINTS
    values: list[float | None] = [0.0] * count
    values[5000] = 9.0
    step = step_of(count)
    thin = Plot("k", "t", "u", [Line("output", "output", values)]).data(step)["lines"][0]["values"]
    assert len(thin) == MOST_POINTS
    assert thin[5000 // step] == 9.0


def test_a_report_of_an_older_release_has_a_page_that_says_what_is_missing(clips, tmp_path):
    output = tmp_path / "out.mp4"
    output.write_bytes(clips[1].read_bytes())
    report = json.loads(report_path(clips[1]).read_text(encoding="utf-8"))
    del report["wplus"], report["per_frame"]["faces"]["wplus_distance"]
    report_path(output).write_text(json.dumps(report), encoding="utf-8")
    text = write_page(clips[0], output, metrics=False).read_text(encoding="utf-8")
    assert [plot["key"] for plot in data_of(text)["plots"]] == ["eyes", "angle", "score"]
    assert "--save-latents FILE" in text, "how to have the plot"


def test_the_command_prints_the_page(clips, tmp_path, capsys):
    page = tmp_path / "p.html"
    assert run(["qc", *map(str, clips), "-o", str(page), "--no-metrics"]) == 0
    assert capsys.readouterr().out.strip() == str(page)
    assert "Flicker was not measured" in page.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [page]


def test_mistakes_are_two_lines_and_exit_2(clips, tmp_path, capsys):
    lone = write_clip(tmp_path / "lone.mp4", moving(2))
    assert run(["qc", str(clips[0]), str(lone)]) == 2
    assert "no report beside the output" in capsys.readouterr().err
    for text, complaint in (("{", "not a report"), ("[]", "not the report"), ('{"clip": {}}', "no table of frames")):
        report_path(lone).write_text(text, encoding="utf-8")
        assert run(["qc", str(clips[0]), str(lone)]) == 2
        assert complaint in capsys.readouterr().err
    whole = json.loads(report_path(clips[1]).read_text(encoding="utf-8"))
    for name in ("config", "shots"):
        report_path(lone).write_text(json.dumps(whole | {name: None}), encoding="utf-8")
        assert run(["qc", str(clips[0]), str(lone)]) == 2
        assert f"{name} is missing" in capsys.readouterr().err
    assert run(["qc", *map(str, clips), "-o", str(tmp_path / "none" / "p.html"), "--no-metrics"]) == 2
    assert run(["qc", *map(str, clips), "--side", "0"]) == 2


def test_a_render_writes_it_when_asked(tmp_path):
    source, output = write_clip(tmp_path / "in.mp4", moving(9)), tmp_path / "out.mp4"
    asked = ["--task", "none", "--set", "report.qc=true", "--start", "2", "--end", "8", "--quiet"]
    assert run([str(source), "-o", str(output), *asked]) == 0
    html = page_path(output).read_text(encoding="utf-8")
    data = data_of(html)
    assert data["frames"]["index"] == [frame[0] for frame in data["strip"]["frames"]] == [2, 3, 4, 5, 6, 7]
    assert all(frame[2] for frame in data["strip"]["frames"])
    assert "none took part" in html
    assert "No plot of w+" not in html


def test_a_page_that_cannot_be_made_does_not_spoil_the_render(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise MediaError("in.mp4: gone", "bring it back")

    monkeypatch.setattr("pipeline.qc.page.measure", refuse)
    source, output = write_clip(tmp_path / "in.mp4", moving(2)), tmp_path / "out.mp4"
    assert run([str(source), "-o", str(output), "--task", "none", "--set", "report.qc=true", "--quiet"]) == 0
    assert output.exists()
    assert not page_path(output).exists()


def test_an_image_has_a_page_too(tmp_path):
    source, output = write_png(tmp_path / "in.png", moving(1)[0]), tmp_path / "out.png"
    assert run([str(source), "-o", str(output), "--task", "none", "--set", "report.qc=true", "--quiet"]) == 0
    data = data_of(page_path(output).read_text(encoding="utf-8"))
    assert len(data["strip"]["frames"]) == 1
    assert data["plots"] == data["boxes"] == data["worst"] == []
