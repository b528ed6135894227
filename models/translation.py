"""The translation network T, which stands in for the input layer where x1 is a sketch or a mask (StyleGANEX §4.3)."""

from __future__ import annotations

from torch import Tensor, nn

from models.backbone import input_layer


class ResidualBlock(nn.Module):
    """LeakyReLU(x + conv(LeakyReLU(conv(x)))), [B, C, H, W] → the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.LeakyReLU(0.01), nn.Conv2d(channels, channels, 3, padding=1)
        )
        self.activation = nn.LeakyReLU(0.01)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x + self.conv_block(x))


def translation_network(in_channels: int, width: int, out_channels: int, res_blocks: int) -> nn.Sequential:
    """[B, in, H, W] → [B, out, H, W], H and W multiples of 4: down twice, residual blocks, up twice, input layer."""
    layers: list[nn.Module] = []
    for channels in (in_channels, width):
        layers += [nn.Conv2d(channels, width, 3, stride=2, padding=1), nn.LeakyReLU(0.01)]
    layers += [ResidualBlock(width) for _ in range(res_blocks)]
    for _ in range(2):
        layers += [nn.ConvTranspose2d(width, width, 3, stride=2, padding=1, output_padding=1), nn.LeakyReLU(0.01)]
    return nn.Sequential(*layers, *input_layer(width, out_channels))
