"""A tiny ONNX file, written field by field: the package onnx is not needed for 40 lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        out.append((value & 127) | (128 if value > 127 else 0))
        value >>= 7
        if not value:
            return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _node(kind: str, inputs: list[str], output: str, **ints: list[int]) -> bytes:
    attributes = b"".join(
        _bytes(5, _bytes(1, name) + b"".join(_number(8, v) for v in values) + _number(20, 7))
        for name, values in ints.items()
    )
    return b"".join(_bytes(1, name) for name in inputs) + _bytes(2, output) + _bytes(4, kind) + attributes


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_bytes(1, _number(1, size)) for size in shape)
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, 1) + _bytes(2, dims)))


def write_pooling_net(path: Path, size: int = 16) -> Path:
    """[1, 3, 112, 112] → means of 7 × 7 fields → a fixed random matrix → [1, size]."""
    weights = np.random.default_rng(0).standard_normal((147, size)).astype(np.float32)
    tensor = _number(1, 147) + _number(1, size) + _number(2, 1) + _bytes(8, "weights") + _bytes(9, weights.tobytes())
    graph = b"".join(
        [
            _bytes(1, _node("AveragePool", ["image"], "pooled", kernel_shape=[16, 16], strides=[16, 16])),
            _bytes(1, _node("Flatten", ["pooled"], "flat")),
            _bytes(1, _node("MatMul", ["flat", "weights"], "code")),
            _bytes(2, "pooling"),
            _bytes(5, tensor),
            _bytes(11, _value("image", (1, 3, 112, 112))),
            _bytes(12, _value("code", (1, size))),
        ]
    )
    path.write_bytes(_number(1, 7) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _number(2, 13)))
    return path
