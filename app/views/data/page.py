"""Data: photos imported, checked, corrected and exported."""

from __future__ import annotations

from app.client import client
from app.components.address import pick_view
from app.components.next_steps import next_for_dataset
from app.components.page import guarded, header
from app.views.data.actions import say_what_was_done
from app.views.data.add import add_photos
from app.views.data.audit import audit_panel
from app.views.data.browse import browse
from app.views.data.charts import charts
from app.views.data.classes import classes_panel
from app.views.data.head import NEW, facts, pick
from app.views.data.history import history_panel
from app.views.data.jobs import dataset_jobs
from app.views.data.label_check import label_check_panel

VIEWS = {
    "photos": ("Photos", browse),
    "charts": ("Charts", charts),
    "audit": ("Audit", audit_panel),
    "labels": ("Label check", label_check_panel),
    "classes": ("Classes and split", classes_panel),
    "history": ("History", history_panel),
    "add": ("Add photos", lambda version: add_photos(version.name)),
}


def main() -> None:
    """Draw the page."""
    header("Data", "Import photos and labels, check them, correct them. Every change makes a new version.")
    say_what_was_done()
    with guarded():
        name = pick()
        if name == NEW:
            add_photos(None)
            return
        dataset_jobs(name)
        if name not in client().datasets.names():
            return  # its first import is under way, or failed
        version = client().datasets.version(name)
        facts(version)
        view = pick_view({view: title for view, (title, _) in VIEWS.items()}, "photos", "data-view")
        with guarded():
            VIEWS[view][1](version)
        next_for_dataset(name, "data")


main()
