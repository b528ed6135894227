"""edit: one recipe serves networks on several devices."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.latent import Latent
from stages.edit import Edit
from stages.recipe import Recipe
from stages.tasks.style_mixing import mixing
from stages.types import CroppedFrame, EncodedFrame
from tests.stages.makers import face, face_frame


def encoded(index: int, faces: int, device: str) -> EncodedFrame:
    people = [face(track, (20.0 + 20 * track, 24.0), 10.0) for track in range(faces)]
    latents = tuple(Latent(torch.full((1, 4, 8), float(index), device=device)) for _ in people)
    return EncodedFrame(CroppedFrame(face_frame(index, 0, people), ()), latents)


def run(recipe: Recipe, *items: EncodedFrame) -> list[EncodedFrame]:
    return list(Edit(recipe).stream(item for item in items))


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_what_a_task_prepared_goes_to_the_latents_device(device: str) -> None:
    recipe = Recipe(
        edits=(mixing(torch.ones(1, 4, 8), (1, 2)),), offset=lambda index: torch.full((1, 4, 8), 10.0 + index)
    )
    (item,) = run(recipe, encoded(3, 2, device))
    assert item.offset is not None
    assert {item.offset.device.type, *(latent.wplus.device.type for latent in item.latents)} == {device}
    if device == "cpu":
        assert item.offset.unique().tolist() == [13.0]
        assert item.latents[1].wplus[0, :, 0].tolist() == [3.0, 1.0, 1.0, 3.0]


def test_a_frame_without_faces_passes() -> None:
    recipe = Recipe(offset=lambda index: torch.full((1, 4, 8), 10.0 + index))
    first, second = run(recipe, encoded(0, 0, "cpu"), encoded(1, 1, "cpu"))
    assert first.latents == ()
    assert first.offset is None
    assert second.offset is not None
    assert second.offset.unique().tolist() == [11.0]


def test_what_does_not_change_stays_the_same_tensor() -> None:
    """The generator keeps weights by it."""
    wplus = Latent(torch.zeros(1, 4, 8))
    recipe = Recipe(
        edits=(mixing(torch.ones(1, 4, 8), (1, 2)),), offset=lambda index: torch.full((1, 4, 8), float(index // 2))
    )
    items = run(recipe, *(replace(encoded(i, 1, "cpu"), latents=(wplus,)) for i in range(4)))
    offsets = [item.offset for item in items]
    assert offsets[0] is offsets[1]
    assert offsets[2] is offsets[3]
    assert [float(each.max()) for each in offsets if each is not None] == [0, 0, 1, 1]
    assert len({id(item.latents[0].wplus) for item in items}) == 1
