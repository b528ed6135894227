"""The compiled network against the one it was made of."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.compiled import CompiledNet, check_compiler, keep_compiled
from models.config import SIZES
from models.encoder import Content
from models.errors import ModelError
from models.latent import Latent
from models.styleganex import StyleGANEX
from tests.golden.make_model_goldens import fill, normal


@pytest.fixture
def net() -> StyleGANEX:
    small = {"resolution": 64, "generator_channels": (12, 12, 12, 12, 8)}
    return fill(StyleGANEX(replace(SIZES["tiny"], **small, num_skips=1, attention=1))).requires_grad_(False)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """torch.compile without its code generator: the same graph, run by PyTorch, in seconds instead of minutes."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    compiler = torch.compile
    monkeypatch.setattr(
        "models.compiled.torch.compile",
        lambda call, dynamic, mode: compiler(call, dynamic=dynamic, backend="eager"),
    )
    monkeypatch.setattr("models.compiled.check_compiler", lambda device: None)
    torch._dynamo.reset()


@pytest.mark.usefixtures("traced", "one_thread")
def test_same_numbers_as_the_net_and_a_word_per_size(net: StyleGANEX, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "models.compiled")
    x1 = torch.tanh(normal("x1", (2, 3, 32, 40)))
    edit = 0.3 * normal("edit", (1, net.config.num_styles, net.config.style_dim))
    compiled = CompiledNet(net)
    with torch.inference_mode():
        wplus = net.invert(x1[:1]).wplus
        for batch, own in ((1, None), (2, edit), (1, None)):
            wanted = net.synthesize(Latent(wplus, *net.encode_content(x1[:batch])), own)
            got = compiled.synthesize(Latent(wplus, *compiled.encode_content(x1[:batch])), own)
            torch.testing.assert_close(got, wanted, atol=1e-4, rtol=0)
    lines = [record.getMessage() for record in caplog.records]
    assert sum(line.startswith("compiled the encoder") for line in lines) == 2
    assert sum(line.startswith("compiled the generator") for line in lines) == 2


@pytest.mark.usefixtures("traced", "one_thread")
@pytest.mark.parametrize("own", [False, True], ids=["one w+", "own w+"])
def test_a_smaller_batch_is_filled_up(net: StyleGANEX, caplog: pytest.LogCaptureFixture, own: bool) -> None:
    caplog.set_level(logging.INFO, "models.compiled")
    x1 = torch.tanh(normal("x1", (3, 3, 32, 40)))
    edit = 0.3 * normal("edit", (3, net.config.num_styles, net.config.style_dim))
    compiled = CompiledNet(net)
    with torch.inference_mode():
        wplus = net.encode_style(torch.tanh(normal("aligned", (3, 3, 256, 256))))
        for batch in (3, 2, 1):
            codes, edits = (wplus[:batch], edit[:batch]) if own else (wplus[:1], edit[:1])
            wanted = net.synthesize(Latent(codes, *net.encode_content(x1[:batch])), edits)
            got = compiled.synthesize(Latent(codes, *compiled.encode_content(x1[:batch])), edits)
            torch.testing.assert_close(got, wanted, atol=1e-4, rtol=0)
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("compiled")]
    assert [line.split()[2] for line in lines] == ["encoder", "generator"]


@pytest.mark.usefixtures("traced", "one_thread")
def test_a_batch_that_fails_is_not_filled_up_to_again(net: StyleGANEX, monkeypatch: pytest.MonkeyPatch) -> None:
    x1, seen = torch.tanh(normal("x1", (2, 3, 32, 40))), []
    compiled = CompiledNet(net)

    def content(x: torch.Tensor) -> Content:
        seen.append(x.shape[0])
        if x.shape[0] > 1:
            raise MemoryError
        return Content(None, (), None)

    compiled._calls = content, compiled.generator
    with torch.inference_mode():
        with pytest.raises(MemoryError):
            compiled.encode_content(x1)
        compiled.encode_content(x1[:1])
    assert seen == [2, 1]


@pytest.mark.usefixtures("traced", "one_thread")
def test_gradients_and_precision_and_checks(net: StyleGANEX) -> None:
    compiled = CompiledNet(net)
    x1 = torch.tanh(normal("x1", (1, 3, 32, 32)))
    latent = net.invert(x1)
    wplus = latent.wplus.detach().requires_grad_()
    compiled.synthesize(latent._replace(wplus=wplus)).sum().backward()
    assert wplus.grad is not None
    with torch.inference_mode(), pytest.raises(ModelError, match="multiple of 8"):
        compiled.encode_content(x1[:, :, :30])
    compiled.set_precision("bf16")
    assert net._precision == "fp32"
    assert compiled.generator is net.generator


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, net: StyleGANEX) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ModelError, match=r"no C\+\+ compiler") as caught:
        CompiledNet(net)
    assert "--compile" in caught.value.remedy
    with pytest.raises(ModelError, match="mps"):
        check_compiler(torch.device("mps"))


def test_a_failing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, net: StyleGANEX) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("models.compiled.check_compiler", lambda device: None)
    compiler = torch.compile

    def broken(graph: object, inputs: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(
        "models.compiled.torch.compile", lambda call, dynamic, mode: compiler(call, dynamic=dynamic, backend=broken)
    )
    torch._dynamo.reset()
    with torch.inference_mode(), pytest.raises(ModelError, match="no room"):
        CompiledNet(net).encode_content(torch.zeros(1, 3, 32, 32))


def test_kernels_are_kept_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "own")
    assert keep_compiled() == Path("own")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    assert keep_compiled() == tmp_path / "styleganex" / "compiled"
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
