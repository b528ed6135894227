"""The conversions of stages/pixels.py, chroma.py and resample.py on a GPU: code values go up, code values come down.

The same matrices and the same weights in float32; a sample differs from the CPU's by the order of a sum at most, which
can turn the rounding of a code value. Pictures are [3, H, W] R'G'B', nominally in [0, 1]; planes are [h, w].
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, Concatenate, NamedTuple, ParamSpec

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from stages.chroma import down_taps, siting, up_taps
from stages.device_stream import current_stream
from stages.layout import ColorTags, PlaneLayout
from stages.pixels import Box, Planes, cut, matrices, turned_box
from stages.resample import Kernel, axis_operator


def on_gpu(device: torch.device) -> bool:
    """True where these conversions are used; on the CPU its own are several times quicker."""
    return device.type == "cuda"


class Axis(NamedTuple):
    """One axis' resampling: out[i] = Σ_t weight[t, i] · in[index[t, i]]."""

    index: Tensor
    """[taps, out] int64."""
    weight: Tensor
    """[taps, out] float32."""


P = ParamSpec("P")


def _kept(make: Callable[Concatenate[torch.device, P], Axis]) -> Callable[Concatenate[torch.device, P], Axis]:
    """Keep what was made, for each stream apart: what one has uploaded, another would have to wait for."""

    @lru_cache(maxsize=128)
    def kept(_: torch.cuda.Stream | None, device: torch.device, *args: P.args, **kwargs: P.kwargs) -> Axis:
        return make(device, *args, **kwargs)

    @wraps(make)
    def found(device: torch.device, *args: P.args, **kwargs: P.kwargs) -> Axis:
        return kept(current_stream(device), device, *args, **kwargs)

    return found


@_kept
def axis(
    device: torch.device,
    in_size: int,
    out_size: int,
    scale: float,
    offset: float,
    first: int = 0,
    kernel: Kernel = "cubic",
) -> Axis:
    """`stages.resample.axis_operator` on a device."""
    return _axis_of(axis_operator(in_size, out_size, scale, offset, kernel, first=first), device)


@_kept
def _chroma_axis(device: torch.device, size: int, log2: int, location: int, vertical: bool, up: bool) -> Axis:
    """Along an axis of `size` luma samples: to its chroma samples, or from them (`up`); the edge sample is repeated."""
    factor = 1 << log2
    offset, count = siting(factor, location, vertical), -(-size // factor)
    entries: list[tuple[int, int, float]] = []
    if up:
        phases = up_taps(factor, offset)
        for i in range(size):
            block, phase = divmod(i, factor)
            entries += [(i, min(max(block + tap, 0), count - 1), weight) for tap, weight in phases[phase]]
    else:
        taps = down_taps(factor, offset)
        entries += [(j, min(max(j * factor + x, 0), size - 1), weight) for j in range(count) for x, weight in taps]
    rows, columns, weights = zip(*entries, strict=True)
    shape = (size, count) if up else (count, size)
    return _axis_of(csr_array((np.array(weights, np.float32), (rows, columns)), shape=shape), device)


def _axis_of(operator: csr_array, device: torch.device) -> Axis:
    """Every row with as many taps as the longest has; the others' are of weight 0."""
    lengths = np.diff(operator.indptr)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    taps = np.arange(len(rows)) - operator.indptr[rows]
    index = np.zeros((int(lengths.max()), len(lengths)), np.int64)
    weight = np.zeros(index.shape, np.float32)
    index[taps, rows], weight[taps, rows] = operator.indices, operator.data
    return Axis(to_device(torch.from_numpy(index), device), to_device(torch.from_numpy(weight), device))


def along(x: Tensor, resampling: Axis, dim: int) -> Tensor:
    """[…, H, W] resampled along −2 (rows) or −1 (columns). Nothing is added up in an order that changes."""
    total: Tensor | None = None
    for index, weight in zip(*resampling, strict=True):
        term = x.index_select(dim, index) * (weight[:, None] if dim == -2 else weight)
        total = term if total is None else total.add_(term)
    assert total is not None
    return total


def resample(x: Tensor, rows: Axis, columns: Axis) -> Tensor:
    """[…, H, W] → […, H', W'], first along the axis that leaves less to do."""
    if rows.index.shape[1] * x.shape[-1] <= columns.index.shape[1] * x.shape[-2]:
        return along(along(x, rows, -2), columns, -1)
    return along(along(x, columns, -1), rows, -2)


def upload(array: NDArray[Any], device: torch.device) -> Tensor:
    """A float32 copy on the device, of uint8, uint16 or float32; it crosses as it is, without waiting for the GPU."""
    wide = array.dtype == np.uint16  # few operations know uint16: it travels as int16
    there = to_device(torch.from_numpy(np.ascontiguousarray(array).view(np.int16) if wide else array), device)
    return (there.int() & 0xFFFF).float() if wide else there.float()


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """On the device; towards a GPU from pinned memory, so that the copy runs beside the network."""
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)  # from PyTorch's own pool
    return pinned.copy_(tensor).to(device, non_blocking=True)


def download(tensor: Tensor) -> Tensor:
    """On the CPU, its work done; from a GPU into pinned memory. Only the calling thread waits."""
    if not tensor.is_cuda:
        return tensor
    here = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)
    done = torch.cuda.Event()
    done.record(torch.cuda.current_stream(tensor.device))
    done.synchronize()
    return here


def planes_to_rgb(planes: Planes, layout: PlaneLayout, color: ColorTags, rotation: int, device: torch.device) -> Tensor:
    """`stages.pixels.planes_to_rgb` of the whole picture."""
    luma, *others = (upload(plane, device) for plane in planes[: 1 if layout.is_gray else 3])
    height, width = luma.shape
    if layout.is_rgb:
        codes = torch.stack([others[1], luma, others[0]])
    else:
        log2_h, log2_w = layout.chroma_shift(1)
        where = color.chroma_location
        full = [luma]
        for plane in others:
            if log2_h:
                plane = along(plane, _chroma_axis(device, height, log2_h, where, vertical=True, up=True), -2)
            if log2_w:
                plane = along(plane, _chroma_axis(device, width, log2_w, where, vertical=False, up=True), -1)
            full.append(plane)
        codes = torch.stack(full)
    return torch.rot90(_transformed(codes, matrices(layout, color)[0]), rotation // 90, (1, 2))


def _transformed(x: Tensor, matrix: NDArray[np.float32]) -> Tensor:
    """[C, H, W] → [rows, H, W] by an affine [rows, C + 1]; no matrix product, which a GPU may shorten to TF32."""
    rows = []
    for *factors, offset in matrix.tolist():
        row = x[0] * factors[0]
        for plane, factor in zip(x[1:], factors[1:], strict=True):
            row = row.add_(plane, alpha=factor)
        rows.append(row.add_(offset))
    return torch.stack(rows)


def _lowered(plane: Tensor, log2_h: int, log2_w: int, location: int) -> Tensor:
    """`stages.chroma.downsample`."""
    height, width = plane.shape
    if log2_w:
        plane = along(plane, _chroma_axis(plane.device, width, log2_w, location, vertical=False, up=False), -1)
    if log2_h:
        plane = along(plane, _chroma_axis(plane.device, height, log2_h, location, vertical=True, up=False), -2)
    return plane


def rgb_to_planes(
    rgb: Tensor,
    layout: PlaneLayout,
    color: ColorTags,
    rotation: int,
    source: Planes | None = None,
    alpha: Tensor | None = None,
    box: Box | None = None,
    change: bool = False,
) -> Planes:
    """`stages.pixels.rgb_to_planes`; with `source` as `stages.pixels.blend_planes`, its arguments planes and alpha.

    Args:
        rgb: upright [3, H, W]; with `change` what is added to the source.
        alpha: upright matte [H, W]; None: 1 everywhere.
        box: where both lie in the upright picture, from `blend_box`; None: they cover it.
    """
    to_codes = matrices(layout, color)[1]
    to_codes = to_codes * np.array([1, 1, 1, 0], np.float32) if change else to_codes
    codes = _transformed(torch.rot90(rgb, -rotation // 90, (1, 2)), to_codes)
    matte = None if alpha is None else torch.rot90(alpha, -rotation // 90, (0, 1))
    order = (1, 2, 0) if layout.is_rgb else range(len(codes))
    under = None if source is None else _under(source, layout, rotation, box)
    finished = []
    for number, channel in enumerate(order):
        shift = layout.chroma_shift(number)
        new = _lowered(codes[channel], *shift, color.chroma_location)
        if under is not None and (change or matte is not None):
            old = upload(under[number], rgb.device)
            new = new if change else new - old
            new = old + (new if matte is None else new * _lowered(matte, *shift, color.chroma_location))
        finished.append(_codes(new, layout))
    if source is None:
        opaque = [np.full(finished[0].shape, layout.max_code, layout.dtype)] if layout.has_alpha else []
        return (*finished, *opaque)
    kept = source[len(finished) :]
    if box is None:
        return (*finished, *kept)
    whole = tuple(plane.copy() for plane in source[: len(finished)])
    for part, new in zip(_under(whole, layout, rotation, box), finished, strict=True):
        part[...] = new
    return (*whole, *kept)


def _under(planes: Planes, layout: PlaneLayout, rotation: int, box: Box | None) -> Planes:
    """Views of the planes under a box of the upright picture."""
    if box is None:
        return planes
    rows, columns = planes[0].shape
    return cut(planes, layout, turned_box(box, rotation, columns, rows))


def _codes(plane: Tensor, layout: PlaneLayout) -> NDArray[Any]:
    """Rounded, in the layout's type, on the CPU."""
    if layout.is_float:
        return download(plane).numpy()
    rounded = plane.round().clamp(0, layout.max_code)
    if layout.bits == 8:
        return download(rounded.to(torch.uint8)).numpy()
    return download(rounded.int().to(torch.int16)).numpy().view(np.uint16)
