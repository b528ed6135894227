import pytest

from pipeline.config import RunConfig, load_config
from pipeline.errors import ConfigError
from pipeline.explain import explain


def write(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return path


def test_defaults_and_overrides():
    config = load_config(None, {"track.smooth_s": 0.4, "task": {"kind": "none"}, "composite.size": "native"})
    assert config.track.smooth_s == 0.4
    assert config.task.kind == "none"
    assert config.composite.size == "native"
    assert load_config(None) == RunConfig()


def test_an_edit_touches_the_head_alone_unless_it_is_asked_for_more():
    assert load_config(None, {"task": {"kind": "edit"}}).composite.matte == "head"
    assert load_config(None, {"task": {"kind": "edit"}, "composite.matte": "window"}).composite.matte == "window"
    assert load_config(None, {"task": {"kind": "edit"}}).composite.mode == "add"
    for kind in ("toonify", "inversion", "style_mixing", "super_resolution", "sketch_to_face"):
        assert load_config(None, {"task": {"kind": kind}}).composite.matte == "window"


def test_every_shipped_config_loads(request):
    folder = request.config.rootpath / "configs"
    for path in sorted(folder.glob("*.yaml")):
        if not path.stem.startswith(("batch", "train", "flicker", "heads")):
            assert isinstance(load_config(path), RunConfig)


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        ("track: {smoth_s: 1}", "track.smoth_s: no such setting", "did you mean smooth_s?"),
        ("trak: {}", "trak: no such setting", "did you mean track?"),
        ("task: {kind: toonify, styl: arcane}", "task.styl: no such setting", "did you mean style?"),
        ("task: {kind: tonify}", "task:", "kind"),
        ("track: {smooth_s: -1}", "track.smooth_s: -1", "explain"),
        ("composite: {size: huge}", "composite.size: 'huge'", "explain"),
        ("crop: {window_px: 250}", "crop.window_px: 250", "explain"),
        ("track: 3", "track: 3", "explain"),
        ("- a\n- b", "expected `key: value`", "toonify.yaml"),
        ("a: [1, 2", "c.yaml:", "syntax"),
    ],
)
def test_mistakes_are_named_in_one_line_with_a_remedy(tmp_path, text, what, remedy):
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text))
    assert "c.yaml" in caught.value.what
    assert what in caught.value.what
    assert remedy in caught.value.remedy
    assert "\n" not in caught.value.what + caught.value.remedy


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")


def test_override_of_an_unknown_setting():
    with pytest.raises(ConfigError, match=r"track\.smoth_s: no such setting"):
        load_config(None, {"track.smoth_s": 1})
    with pytest.raises(ConfigError, match="not a section"):
        load_config(None, {"seed.deeper": 1, "seed": 3} | {"seed.deeper.still": 1})


def test_explain_shows_stages_threads_and_every_setting():
    text = explain(load_config(None, {"track.smooth_s": 0.4}))
    for word in ("thread 1  read", "thread 2  invert", "thread 3  write", "smooth_s: 0.4", "queue of 4 frames"):
        assert word in text
    assert "untouched" in explain(load_config(None, {"task": {"kind": "none"}}))
