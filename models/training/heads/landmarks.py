"""The 68 iBUG landmarks as vertices of the MakeHuman base mesh, chosen once (68 different vertices of the body)."""

from __future__ import annotations

LANDMARK_VERTICES = (
    267, 5186, 5246, 5242, 5240, 915, 917, 5221, 5225, 11831, 7619, 7617, 11849, 11851, 11854, 11798, 7036,  # jaw
    179, 206, 204, 205, 209,  # brow on the image's left
    6984, 6980, 6979, 6981, 6955,  # brow on its right
    132, 131, 201, 5054,  # bridge of the nose
    320, 313, 317, 7076, 7082,  # base of the nose
    18, 0, 4865, 6769, 6772, 41,  # eye on the image's left
    13365, 11483, 6784, 6802, 6825, 13368,  # eye on its right
    527, 5354, 460, 455, 7219, 11956, 7272, 7235, 7241, 492, 486, 480,  # outer lips
    443, 515, 520, 7262, 7203, 7265, 540, 518,  # inner lips
)  # fmt: skip
"""Vertices of MPFB2's `base.obj` (CC0) in iBUG order: 0–16 jaw, 17–26 brows, 27–35 nose, 36–47 eyes, 48–67 mouth.

The jaw is the jaw's own edge, not the outline of the picture: turned heads keep their landmarks on the same skin.
"""
