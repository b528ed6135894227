"""evaluate by its command line: what an encoder of tokens gains."""

import re

import pytest
import torch

pytest.importorskip("skimage", reason="scikit-image (training extra) is not installed")

from models.checkpoint import save_checkpoint
from models.config import SIZES
from models.refine_encoder import RefineEncoder, save_refine_encoder
from models.styleganex import StyleGANEX
from models.training.evaluate import main
from tests.models.training.drawn_heads import make_samples


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """(network, encoder of its tokens, encoder of another network's, samples)."""
    folder = tmp_path_factory.mktemp("evaluate")
    nets = []
    for seed, name in enumerate(("net", "other")):
        torch.manual_seed(seed)
        net = StyleGANEX(SIZES["tiny"])
        net.latent_avg = torch.zeros(net.config.num_styles, net.config.style_dim)
        save_checkpoint(net, folder / f"{name}.safetensors")
        encoder = RefineEncoder(net, rank=1, width=16)
        with torch.no_grad():
            for part, values in encoder.to_p.named_parameters():
                values.fill_(0.5 if part.endswith("bias") else 0.0)  # new ones change nothing
        save_refine_encoder(net, encoder, folder / f"{name}_encoder.safetensors")
        nets.append(folder / f"{name}.safetensors")
    own, others = (folder / f"{name}_encoder.safetensors" for name in ("net", "other"))
    return nets[0], own, others, make_samples(folder / "heads", 7, 64)


def scores(text):
    return {
        name: (float(a), float(b)) for name, a, b in re.findall(r"^(\w.*?) +PSNR +(\S+) dB +SSIM (\S+)$", text, re.M)
    }


def test_an_encoder_of_tokens_is_compared_with_the_network_alone(files, capsys):
    net, own, _, samples = files
    assert main([str(net), "--samples", str(samples), "--encoder", str(own)]) == 0
    found = scores(capsys.readouterr().out)
    assert list(found) == ["network", "with tokens", "source", "bilateral filter"]
    assert found["with tokens"] != found["network"]
    assert found["source"][1] > 0.999  # the target is the picture itself
    assert main([str(net), "--samples", str(samples)]) == 0
    alone = scores(capsys.readouterr().out)
    assert alone == {name: score for name, score in found.items() if name != "with tokens"}


def test_an_encoder_for_another_network_is_two_lines(files, capsys):
    net, _, others, samples = files
    assert main([str(net), "--samples", str(samples), "--encoder", str(others)]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert "trained on other weights" in error
    assert hint.startswith("hint: ")


def test_a_report_compares_no_encoder(files, capsys):
    net, own, _, samples = files
    with pytest.raises(SystemExit) as caught:
        main([str(net), "--samples", str(samples), "--encoder", str(own), "--report", "out.json"])
    assert caught.value.code == 2
    assert "--encoder is compared alone" in capsys.readouterr().err
