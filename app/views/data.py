"""Data: photos in, looked over, put right, and out again."""

from __future__ import annotations

from app.client import client
from app.components.address import pick_view
from app.components.audit_cards import audit_panel
from app.components.dataset_actions import say_what_was_done
from app.components.dataset_add import add_photos
from app.components.dataset_browse import browse
from app.components.dataset_charts import charts
from app.components.dataset_classes import classes_panel
from app.components.dataset_head import NEW, facts, pick
from app.components.dataset_history import history_panel
from app.components.dataset_jobs import dataset_jobs
from app.components.page import guarded, header

VIEWS = {
    "photos": ("Photos", browse),
    "charts": ("Charts", charts),
    "audit": ("Audit", audit_panel),
    "classes": ("Classes and split", classes_panel),
    "history": ("History", history_panel),
    "add": ("Add photos", lambda version: add_photos(version.name)),
}


def main() -> None:
    """Draw the page."""
    header(
        "Data", "Photos and their labels: bring them in, look them over, put them right. Every change is a new version."
    )
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


main()
