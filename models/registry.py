"""What others have published, as data: name, task, size, licence, where it lies. Nothing of it is shipped here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

S_LAB = "S-Lab License 1.0 (non-commercial)"
STYLEGANEX = "PKUWilliamYang/StyleGANEX"
VTOONIFY = "PKUWilliamYang/VToonify"

Kind = Literal["network", "directions", "parser"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One file on the Hugging Face hub. Each user fetches it under its own licence."""

    name: str
    task: str
    """A task of the command line, or what the file helps with (`directions`, `parsing`)."""
    purpose: str
    size: int | None
    """Bytes, rounded as the hub's page shows them (three figures); None: the page was not seen."""
    repository: str = STYLEGANEX
    file: str
    """Path inside the repository."""
    licence: str = S_LAB
    kind: Kind = "network"
    style: str = ""
    sha256_hint: str = ""
    """Digest that a third party stated. Another one is worth a warning, not an error."""

    @property
    def local(self) -> str:
        """File name in the weights folder."""
        return self.name + self.file[self.file.rindex(".") :]

    @property
    def page(self) -> str:
        """Where a person can read about it."""
        return f"https://huggingface.co/{self.repository}"


def _styleganex(name: str, task: str, megabytes: int, purpose: str, style: str = "") -> Published:
    file = f"pretrained_models/{name}.pt"
    return Published(name=name, task=task, purpose=purpose, size=megabytes * 1_000_000, file=file, style=style)


PUBLISHED = (
    _styleganex("styleganex_toonify_cartoon", "toonify", 1440, "faces as in a 3D cartoon film", "cartoon"),
    _styleganex("styleganex_toonify_arcane", "toonify", 1440, "faces as in a painted animation series", "arcane"),
    _styleganex("styleganex_toonify_pixar", "toonify", 1440, "faces as in a 3D animation film", "pixar"),
    _styleganex("styleganex_edit_age", "edit", 1480, "younger or older", "age"),
    _styleganex("styleganex_edit_hair", "edit", 1480, "another hair colour", "hair"),
    _styleganex("styleganex_inversion", "inversion", 1200, "faithful reconstruction; takes direction files and mixing"),
    _styleganex("styleganex_sr", "super_resolution", 1370, "4 to 48 times, one model for all factors"),
    _styleganex("styleganex_sr32", "super_resolution", 1410, "32 times"),
    _styleganex("styleganex_sketch2face", "sketch_to_face", 1230, "faces from line drawings, dark on white"),
    _styleganex("styleganex_mask2face", "mask_to_face", 1250, "faces from 19-class parsing maps"),
    Published(
        name="direction_dics",
        task="directions",
        purpose="named editing directions for `--direction`",
        size=None,
        file="direction_dics.pt",
        kind="directions",
    ),
    Published(
        name="faceparsing",
        task="parsing",
        purpose="BiSeNet face parser: parsing maps from ordinary pictures, for mask_to_face",
        size=53_300_000,
        repository=VTOONIFY,
        file="models/faceparsing.pth",
        kind="parser",
        sha256_hint="468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567",
    ),
)
"""Every file that `models fetch` knows.

The sizes agree with the layouts: 4 bytes times the elements of state_dict are 1.20 GB (inversion) to 1.36 GB (edit),
and the toonify, edit and super-resolution files have 0.116 GB more, a StyleGAN2 discriminator of 29 million weights.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSupplied:
    """A kind of file that this project reads and that each user brings: there is no place to fetch it from by name."""

    kind: str
    tasks: tuple[str, ...]
    purpose: str
    holds: str
    """How such a file is recognised."""
    licence: str


USER_SUPPLIED = (
    UserSupplied(
        kind="pSp checkpoint (.pt)",
        tasks=("inversion", "frontalization", "toonify", "super_resolution", "sketch_to_face", "mask_to_face"),
        purpose="aligned 256×256 faces from the constant input",
        holds="`state_dict` with encoder.* and decoder.*, `opts`, `latent_avg`; no first-layer feature, no skips",
        licence="as its authors state (pixel2style2pixel: MIT; the data behind it may forbid commercial use)",
    ),
    UserSupplied(
        kind="StyleGAN2 generator (.pt)",
        tasks=("sample",),
        purpose="random faces; with --generator it replaces the decoder, e.g. a toonified generator",
        holds="`g_ema` with rosinality's key names, optionally `latent_avg` [512]",
        licence="as its authors state (NVIDIA's own weights: non-commercial)",
    ),
    UserSupplied(
        kind="direction file (.pt, .npy, .safetensors)",
        tasks=("edit",),
        purpose="an editing direction for --direction",
        holds="[512], [L, 512] or [N, L, 512], or a table of named ones",
        licence="as its authors state",
    ),
)

ANSWERS: dict[str, frozenset[str]] = {
    "toonify": frozenset({"toonify", "style_mixing"}),
    "edit": frozenset({"edit", "inversion", "style_mixing"}),
    "inversion": frozenset({"inversion", "edit", "style_mixing", "toonify"}),  # toonify: with --generator
    "frontalization": frozenset({"frontalization", "inversion", "edit", "style_mixing"}),
    "super_resolution": frozenset({"super_resolution"}),
    "sketch_to_face": frozenset({"sketch_to_face"}),
    "mask_to_face": frozenset({"mask_to_face"}),
    "sample": frozenset({"sample"}),
}
"""What a model was trained for → the tasks that it answers."""


def published(name: str) -> Published | None:
    """The entry of that name."""
    return next((entry for entry in PUBLISHED if entry.name == name), None)


def can_answer(trained_for: str, task: str) -> bool:
    """Whether a model trained for one or more tasks (separated by commas; "" means unknown) can do `task`."""
    known = [word.strip() for word in trained_for.split(",") if word.strip()]
    return not known or any(task in ANSWERS.get(word, frozenset({word})) for word in known)
