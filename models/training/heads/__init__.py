"""Synthetic heads: pictures, toon counterparts, landmarks, parsing maps and flow that are free to publish.

`sampling.py` draws a `scene.py` from a seed; `human.py` makes the body, `hair.py` the hair, `cartoon.py` other
proportions; `geometry.py` poses them before the camera, `raster.py` sees them, `skin.py` and `shade.py` colour them,
`styles.py` draws the toon counterparts; `sample.py` puts a sample together, `clips.py` moves it, `dataset.py` writes
sets: `python -m models.training.heads --help`.
"""
