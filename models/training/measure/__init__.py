"""Yardsticks for trained models, on synthetic heads that training never saw: what a model card states.

Nothing here trains a network that ships. `report.py` puts it together; `python -m models.training.evaluate FILE
--samples DIR --report OUT.json` runs it.
"""
