"""Synthetic heads: pictures, toon counterparts, landmarks, parsing maps and flow that are free to publish.

`scene.py` draws what there is, `human.py` makes the body, `hair.py` the hair, `geometry.py` poses them before the camera,
`raster.py` sees them, `skin.py` and `shade.py` colour them, `styles.py` draws the toon counterparts, `sample.py` puts a
sample together, `clips.py` moves it. `python -m models.training.heads --help` writes a set.
"""
