"""Titles of the stages that long operations report with their progress."""

from __future__ import annotations

STAGES = {
    # data
    "unpack": "Unpacking",
    "convert": "Converting",
    "survey": "Reading the photos' value ranges",
    "import": "Checking and copying photos",
    "measure": "Measuring photos",
    "audit": "Looking for duplicates, leaks, odd photos",
    "features": "Computing the photos' features",
    "check labels": "Judging the labels",
    # runs
    "begin": "Starting",
    "prefect": "Prefect",
    "workflow": "Recommending a workflow",
    "split": "Splitting",
    "decode photos": "Decoding photos",
    "train": "Training",
    "evaluate": "Evaluating",
    "predict": "Predicting",
    "explain": "Drawing heat-maps",
    "report": "Writing the report",
    "retrain": "Retraining",
    "turn": "",  # a training that waits for its device: its text says for whom
}


def stage_title(stage: str) -> str:
    """Return the title of a progress stage; a stage that is not known here, such as one of a plug-in's node, stands for itself."""
    return STAGES.get(stage, stage[:1].upper() + stage[1:])
