import pytest
import torch

from models.training.losses import changed_loss, detail_loss, psnr, reconstruction_loss, ssim


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_equal_pictures_cost_nothing(picture):
    total, parts = reconstruction_loss(picture, picture.clone())
    assert total.item() == pytest.approx(0, abs=1e-5)
    assert all(value.item() == pytest.approx(0, abs=1e-4) for value in parts.values())
    assert ssim(picture, picture).item() == pytest.approx(1, abs=1e-4)
    assert psnr(picture, picture) == float("inf")


def test_an_offset_costs_no_edges(picture):
    _, parts = reconstruction_loss(picture + 0.25, picture)
    assert parts["l1"].item() == pytest.approx(0.25, abs=1e-5)
    assert parts["edge"].item() == pytest.approx(0, abs=1e-5)


def test_blur_costs_edges(picture):
    blurred = torch.nn.functional.avg_pool2d(picture, 3, stride=1, padding=1)
    _, parts = reconstruction_loss(blurred, picture)
    assert parts["edge"] > parts["coarse"]
    assert ssim(blurred, picture) < 0.9


def test_psnr_of_a_known_error():
    assert psnr(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.2)) == pytest.approx(20.0, abs=1e-3)


def test_gradient_reaches_the_output(picture):
    output = (picture * 0.5).requires_grad_()
    reconstruction_loss(output, picture)[0].backward()
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()
    assert output.grad.abs().sum() > 0


def test_what_is_missing_of_an_edit_counts_by_its_own_size(picture):
    """Undone costs 1, half done a half, drawn nothing; on a patch of 8×8 as on one of 16×16, and nothing elsewhere."""
    for side in (8, 16):
        target = picture.clone()
        target[:, :, 8 : 8 + side, 8 : 8 + side] = -picture[:, :, 8 : 8 + side, 8 : 8 + side]
        assert changed_loss(target, target, picture).item() == 0
        assert changed_loss(picture, target, picture).item() == pytest.approx(1, abs=1e-5)
        assert changed_loss((picture + target) / 2, target, picture).item() == pytest.approx(0.5, abs=1e-5)
        elsewhere = target.clone()
        elsewhere[:, :, :4, 28:] += 0.5
        assert changed_loss(elsewhere, target, picture).item() == 0


def test_sizes_need_not_divide(picture):
    small = picture[:, :, :18, :9]  # crops of a small model
    assert changed_loss(small, -small, small).item() == pytest.approx(1, abs=1e-5)


def test_a_fold_counts_beside_a_broad_change():
    before = torch.zeros(1, 3, 96, 96)
    broad, fold = torch.zeros_like(before), torch.zeros_like(before)
    broad[:, :, :40] = 0.6  # hair turns grey
    fold[:, :, 80:82, 20:76] = -0.15
    target = before + broad + fold
    share = float(fold.abs().sum() / (target - before).abs().sum())
    assert changed_loss(target - fold, target, before).item() > 4 * share


def test_an_edit_of_a_stray_pixel_is_not_the_loss():
    before = torch.zeros(1, 3, 64, 64)
    target = before.clone()
    target[:, :, 30, 30] = 0.5
    assert changed_loss(before, target, before).item() < 0.5


def test_no_change_costs_nothing(picture):
    assert changed_loss(picture + 0.3, picture, picture).item() == 0


def test_detail_may_lie_elsewhere_but_not_be_missing():
    """Strands that are drawn a pixel off are no blur; a picture of one colour has none of them."""
    strands = torch.zeros(1, 3, 48, 48)
    strands[:, :, :, ::4] = 0.8
    assert detail_loss(strands, strands).item() == 0
    assert detail_loss(strands.roll(1, dims=3), strands).item() < 0.15
    assert detail_loss(0.5 * strands, strands).item() == pytest.approx(0.5, abs=1e-5)
    assert detail_loss(torch.full_like(strands, 0.2), strands).item() == pytest.approx(1, abs=1e-5)
    assert detail_loss(2 * strands, strands).item() == pytest.approx(1, abs=1e-5)


def test_a_smooth_target_makes_no_wild_share():
    smooth, grain = torch.zeros(2, 3, 16, 9), torch.randn(2, 3, 16, 9, generator=torch.Generator().manual_seed(0))
    assert detail_loss(smooth, smooth).item() == 0
    assert detail_loss(smooth + 0.01 * grain, smooth).item() < 10
