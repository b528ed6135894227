"""Inversion, step II: improve w+, the first-layer feature f and the noise maps by gradient (StyleGANEX §4.2).

    start = net.invert(x1, aligned)                      # step I
    result = optimize(net, x1, start, find_distance())   # step II
    image = net.synthesize(result.latent, noise=result.noise)

Every frame has its own optimisers, random numbers and stop, so its result does not depend on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence

import torch
from torch import Tensor

from models.errors import ModelError
from models.frame_optimizer import FrameOptimizer, Optimized, Schedule
from models.inversion_loss import inversion_loss, wplus_spread
from models.latent import Latent
from models.latent_batch import cat, join, select
from models.perceptual import Distance
from models.styleganex import StyleGANEX

__all__ = ["Optimized", "Progress", "Schedule", "optimize", "optimize_clip"]

Progress = Callable[[int, int, float], None]
"""(steps done, steps at most, mean loss of the last step) over the whole call, after every step."""


def optimize(
    net: StyleGANEX,
    target: Tensor,
    initial: Latent,
    distance: Distance,
    schedule: Schedule | None = None,
    *,
    seed: int = 0,
    warm: Optimized | None = None,
    progress: Progress | None = None,
) -> Optimized:
    """Step II for B frames at once. The network is not changed; its parameters need no gradient.

    Args:
        net: any network. w+ is optimised, and f (f1, too, where the model draws from it) where `initial` has it.
        target: [B, 3, h, w] in [−1, 1], x1. Output and target are averaged to the smaller of the two sizes.
        initial: from step I, batch 1 or B; its skip features are kept as they are.
        distance: from `perceptual.find_distance`.
        schedule: None: the published one.
        seed: of the jitter and the first noise maps, the same for all frames, so that noise does not flicker.
        warm: the result of an earlier frame (batch 1 or B): its corrections to w+ and f and its noise are where these
            frames begin, for `schedule.warm_steps` steps. What has another size is not carried over.
        progress: called after every step.

    Raises:
        ModelError: shapes that do not go together.
    """
    schedule = schedule or Schedule()
    _check(target, initial, warm)
    with torch.inference_mode(False), torch.enable_grad():
        spread = wplus_spread(net)
        lanes = []
        for i in range(target.shape[0]):
            before = None if warm is None else warm.frame(i if len(warm.psnr) > 1 else 0)
            lanes.append(
                FrameOptimizer(net, target[i : i + 1].clone(), select(initial, i), schedule, spread, seed, before)
            )
        # oneDNN blocks by batch size, which changes last bits: on a CPU frames go one by one, at no loss of speed.
        for group in [[lane] for lane in lanes] if target.device.type == "cpu" else [lanes]:
            while active := [lane for lane in group if lane.left]:
                loss = _step(net, active, distance, schedule)
                if progress is not None:
                    done = sum(len(lane.losses) for lane in lanes)
                    progress(done, done + sum(lane.left for lane in lanes), loss)
    results = [lane.result(net, distance) for lane in lanes]
    latents, starts = join([r.latent for r in results]), join([r.start for r in results])
    noise = (
        None if not schedule.noise else tuple(cat(maps) for maps in zip(*(r.noise or () for r in results), strict=True))
    )
    return Optimized(latents, noise, starts, tuple(r.losses[0] for r in results), tuple(r.psnr[0] for r in results))


def optimize_clip(
    net: StyleGANEX,
    frames: Iterable[tuple[Tensor, Latent]],
    distance: Distance,
    schedule: Schedule | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Generator[Optimized, None, None]:
    """Step II for the frames of a shot, lazily: the first from a cold start, each other warm from the one before.

    Args:
        frames: (target, initial) in order, as `optimize` takes them. A batch of several stands for as many faces (or
            shots of the same length) that advance side by side, each warm from its own last frame.
    """
    last: Optimized | None = None
    for target, initial in frames:
        last = optimize(net, target, initial, distance, schedule, seed=seed, warm=last, progress=progress)
        yield last


def _step(net: StyleGANEX, lanes: Sequence[FrameOptimizer], distance: Distance, schedule: Schedule) -> float:
    latent = join([lane.jittered() for lane in lanes])
    noise = [cat(maps) for maps in zip(*(lane.noise or () for lane in lanes), strict=True)] if schedule.noise else None
    target = cat([lane.target for lane in lanes])
    losses = inversion_loss(net, latent, noise, target, distance, schedule.noise_weight)
    losses.sum().backward(inputs=[parameter for lane in lanes for parameter in lane.parameters])
    values = losses.tolist()
    for lane, value in zip(lanes, values, strict=True):
        lane.advance(value)
    return sum(values) / len(values)


def _check(target: Tensor, initial: Latent, warm: Optimized | None) -> None:
    if target.ndim != 4 or target.shape[1] != 3 or not target.is_floating_point():
        raise ModelError(f"optimize: target is {target.dtype} {list(target.shape)}", "give float [B, 3, H, W]")
    batch = target.shape[0]
    for name, tensor in (("w+", initial.wplus), ("feature", initial.feature), *(("skip", s) for s in initial.skips)):
        if tensor is not None and tensor.shape[0] not in (1, batch):
            raise ModelError(
                f"optimize: {name} of {tensor.shape[0]} frames for {batch} targets", "give one, or one for each"
            )
    if warm is not None and len(warm.psnr) not in (1, batch):
        raise ModelError(f"optimize: warm start of {len(warm.psnr)} frames for {batch}", "give one, or one for each")
    if warm is not None and warm.latent.wplus.shape[1:] != initial.wplus.shape[1:]:
        raise ModelError("optimize: warm start from another network's w+", "start from a result of the same network")
