"""synthesize: what the frames of a batch share stays one tensor, so that weights made of it serve the next batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.latent import Latent
from stages.synthesize import Synthesize
from stages.types import CroppedFace, CroppedFrame, CropWindow, EncodedFrame, StyleRef
from tests.golden.make_model_goldens import normal
from tests.models.test_fast import TINY, build
from tests.stages.makers import face, face_frame

pytestmark = pytest.mark.usefixtures("one_thread")


def encoded(index: int, latent: Latent, edit: Tensor) -> EncodedFrame:
    window = CropWindow(1.0, 0.0, 0.0, 24, 16, full=False)
    crop = CroppedFace(face(), StyleRef((0, 0), None), window, normal("unused", (3, 16, 24)))
    return EncodedFrame(CroppedFrame(face_frame(index, 0, [face()]), (crop,)), (latent,), edit)


@torch.inference_mode()
@pytest.mark.parametrize("shared", [True, False])
def test_one_w_for_a_batch_that_shares_it(monkeypatch: pytest.MonkeyPatch, shared: bool) -> None:
    net = build()
    monkeypatch.setattr("stages.synthesize.passes", lambda shapes, device: [list(range(len(shapes)))])  # as on a GPU
    wplus, edit = (0.3 * normal(name, (1, TINY.num_styles, TINY.style_dim)) for name in ("w", "edit"))
    contents = [net.encode_content(torch.tanh(normal(f"{i}", (1, 3, 16, 24)))) for i in range(3)]
    codes = [wplus, wplus if shared else wplus + 0.1, wplus]
    edits = [edit, edit, edit if shared else edit + 0.1]
    latents = [Latent(own, *content) for own, content in zip(codes, contents, strict=True)]
    seen: list[tuple[int, int]] = []
    draw = net.synthesize

    def noted(latent: Latent, edit: Tensor, noise: None) -> Tensor:
        seen.append((latent.wplus.shape[0], edit.shape[0]))
        return draw(latent, edit, noise)

    stage = Synthesize(net, 3)
    monkeypatch.setattr(net, "synthesize", noted)
    items = [encoded(i, latents[i], edits[i]) for i in range(3)]
    rendered = list(stage.stream(item for item in items))
    assert seen == [(1, 1) if shared else (3, 3)]
    for item, latent, own in zip(rendered, latents, edits, strict=True):
        assert item.ready is None
        torch.testing.assert_close(item.images[0], draw(latent, own)[0], atol=2e-5, rtol=0)
