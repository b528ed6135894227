import pytest
import torch

from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import SIZES
from models.styleganex import StyleGANEX
from models.training.transfer import main, native_size


def test_two_generators_in_one_file(tmp_path, capsys: pytest.CaptureFixture[str]):
    toon, faces, made = (str(tmp_path / f"{name}.safetensors") for name in ("toon", "faces", "made"))
    for path in (toon, faces):
        save_checkpoint(StyleGANEX(SIZES["tiny"]), path)
    assert main([toon, faces, "32", made]) == 0
    coarse, fine, mixed = (load_checkpoint(path).generator.state_dict() for path in (toon, faces, made))
    for key, value in mixed.items():
        assert torch.equal(value, (fine if (native_size(key) or 4) > 32 else coarse)[key])
    assert main([toon, faces, "33", made]) == 2
    assert capsys.readouterr().err.splitlines()[0] == "error: swap_layers: no layers of size 33"
