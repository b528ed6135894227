"""Perceptual distances: the fallback, and LPIPS against a direct evaluation of its definition."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from models.errors import CheckpointError
from models.perceptual import Lpips, MultiscaleDistance, find_distance, load_lpips


def pictures(batch: int = 2, size: tuple[int, int] = (40, 48)) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return tuple(torch.rand(batch, 3, *size, generator=generator) * 2 - 1 for _ in range(2))  # pyright: ignore[reportReturnType]


def test_fallback_is_zero_for_equal_pictures_and_sees_every_sample_alone():
    distance = MultiscaleDistance()
    a, b = pictures()
    assert distance(a, a).tolist() == [0, 0]
    both = distance(a, b)
    assert both.shape == (2,)
    assert torch.equal(both[1:], distance(a[1:], b[1:]))


def test_fallback_by_hand():
    """A constant offset of 0.5 is 0.5 at every scale and has no gradient; a ramp has both."""
    a = torch.zeros(1, 3, 64, 64)
    assert MultiscaleDistance()(a, a + 0.5).item() == pytest.approx(0.5)
    ramp = torch.arange(64.0).expand(1, 3, 64, 64) / 64
    pixel, slope = ramp.mean().item(), 1 / 64
    wanted = sum(pixel + slope * 2**k for k in range(4)) / 4
    assert MultiscaleDistance()(a, ramp).item() == pytest.approx(wanted, rel=1e-5)


def test_fallback_takes_small_pictures():
    a, b = pictures(1, (8, 9))
    assert MultiscaleDistance()(a, b).item() > 0


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """AlexNet files with torchvision's and lpips's key names, random weights."""
    folder = tmp_path_factory.mktemp("lpips")
    generator = torch.Generator().manual_seed(0)
    convolutions = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
    state = {"classifier.1.weight": torch.zeros(2, 2)}
    heads = {}
    for tap, (index, (out, channels, kernel)) in enumerate(convolutions.items()):
        fan_in = channels * kernel**2
        weight = torch.randn(out, channels, kernel, kernel, generator=generator) * (2 / fan_in) ** 0.5
        state |= {f"features.{index}.weight": weight, f"features.{index}.bias": torch.full((out,), 0.01 * tap)}
        heads[f"lin{tap}.model.1.weight"] = torch.rand(1, out, 1, 1, generator=generator)
    torch.save(state, folder / "alexnet-owt-7be5be79.pth")
    torch.save(heads, folder / "lpips_alex.pth")
    return folder


def test_lpips_is_its_definition(files):
    """Zhang et al. 2018, eq. 1: unit-normalised features, squared differences, weighted channels, spatial mean."""
    state = torch.load(files / "alexnet-owt-7be5be79.pth")
    heads = torch.load(files / "lpips_alex.pth")
    a, b = pictures(2, (40, 44))
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    x = torch.cat([a, b]).sub(shift.view(3, 1, 1)).div(scale.view(3, 1, 1))
    wanted = torch.zeros(2)
    for tap, (index, stride, padding) in enumerate([(0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)]):
        if tap in (1, 2):
            x = F.max_pool2d(x, 3, 2)
        x = F.conv2d(x, state[f"features.{index}.weight"], state[f"features.{index}.bias"], stride, padding).relu()
        y = F.normalize(x, dim=1)
        weight = heads[f"lin{tap}.model.1.weight"].view(1, -1, 1, 1)
        wanted += ((y[:2] - y[2:]).square() * weight).sum(dim=1).mean(dim=(1, 2))
    distance = find_distance(net="alex", folders=(files,))
    assert distance.name == "LPIPS (alex)"
    torch.testing.assert_close(distance(a, b), wanted)
    assert distance(a, a).tolist() == [0, 0]


def test_lpips_has_a_finite_gradient_where_nothing_is_active(files):
    distance = load_lpips(files / "alexnet-owt-7be5be79.pth", files / "lpips_alex.pth", "alex")
    with torch.no_grad():
        for layer in distance.features:
            if isinstance(layer, torch.nn.Conv2d) and layer.bias is not None:
                layer.bias.fill_(-1e3)
    a, b = pictures(1, (40, 40))
    distance(a.requires_grad_(), b).sum().backward()
    assert a.grad is not None
    assert torch.isfinite(a.grad).all()


def test_vgg_has_the_published_keys_and_taps():
    with torch.device("meta"):
        model = Lpips("vgg")
    convolutions = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    assert [int(key.split(".")[0]) for key in model.features.state_dict() if key.endswith("weight")] == convolutions
    assert model.taps == [3, 8, 15, 22, 29]
    assert [head.shape[1] for head in model.heads] == [64, 128, 256, 512, 512]


def test_fallback_where_a_file_is_missing(tmp_path, files, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("alexnet-owt-7be5be79.pth",):
        (tmp_path / name).write_bytes((files / name).read_bytes())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert isinstance(find_distance(net="alex", folders=(tmp_path,)), MultiscaleDistance)
    assert "no LPIPS weights" in find_distance(net="vgg").name


def test_wrong_files_are_said(tmp_path, files):
    body, heads = files / "alexnet-owt-7be5be79.pth", files / "lpips_alex.pth"
    with pytest.raises(
        CheckpointError, match=r"features\.0\.weight should be \[64, 3, 3, 3\], found \[64, 3, 11, 11\]"
    ):
        load_lpips(body, heads, "vgg")
    with pytest.raises(CheckpointError, match=r"lin0\.model\.1\.weight"):
        load_lpips(body, body, "alex")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="not a table of tensors"):
        load_lpips(tmp_path / "list.pth", heads, "alex")
    with pytest.raises(CheckpointError, match="No such file"):
        load_lpips(tmp_path / "none.pth", heads, "alex")
