"""The one way from the pages to the store, the flows and the inference server.

`client()` returns this process's :class:`Client`. Each of its parts is one class in one module of this package,
made from the store at its first use, so that a page pays only for what it uses. No Streamlit in here: the same
client serves tests and programs.
"""

from __future__ import annotations

import threading
from base64 import b64decode
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.store.store import Store

if TYPE_CHECKING:
    from app.client.annotation import Annotation
    from app.client.attention import Attention
    from app.client.comparing import Comparing
    from app.client.datasets import Datasets
    from app.client.drops import Drops
    from app.client.evaluation import Evaluation
    from app.client.heatmaps import HeatMapDrawer
    from app.client.inference import Inference
    from app.client.jobs import Jobs
    from app.client.label_checks import LabelChecks
    from app.client.live import LiveRuns
    from app.client.marks import Marks
    from app.client.models import Models
    from app.client.readiness import Readiness
    from app.client.runs import Runs
    from app.client.schedules import Schedules
    from app.client.serving import Serving
    from app.client.studio import StudioClient
    from app.client.tuning import Tunings
    from app.client.uploads import Uploads
    from app.client.workflows import Workflows

__all__ = ["Client", "client"]


class Client:
    """Everything that pages read and change. Safe to use from many sessions (threads) at once."""

    def __init__(self, home: Path | None = None) -> None:
        """Open the store in `home`, by default the state folder of this machine."""
        self.store = Store(home)

    # A part is added like these: a cached property that imports its module and makes its class from the store.

    @cached_property
    def studio(self) -> StudioClient:
        """What runs behind the studio; starting, stopping and resuming trainings."""
        from app.client.studio import StudioClient

        return StudioClient(self.store)

    @cached_property
    def attention(self) -> Attention:
        """Data sets and their findings, for Home."""
        from app.client.attention import Attention

        return Attention(self.store)

    @cached_property
    def runs(self) -> Runs:
        """Runs: states, metrics, curves."""
        from app.client.runs import Runs

        return Runs(self.store)

    @cached_property
    def marks(self) -> Marks:
        """Titles, notes, tags and stars."""
        from app.client.marks import Marks

        return Marks(self.store)

    @cached_property
    def live(self) -> LiveRuns:
        """Runs while they train."""
        from app.client.live import LiveRuns

        return LiveRuns(self.store)

    @cached_property
    def workflows(self) -> Workflows:
        """Workflows: recommended, saved, changed, priced."""
        from app.client.workflows import Workflows

        return Workflows(self.store)

    @cached_property
    def readiness(self) -> Readiness:
        """What can be known before a training starts."""
        from app.client.readiness import Readiness

        return Readiness(self.store, self.workflows.facts_of)

    @cached_property
    def datasets(self) -> Datasets:
        """Data sets and their versions; every edit makes a new one."""
        from app.client.datasets import Datasets

        return Datasets(self.store)

    @cached_property
    def annotation(self) -> Annotation:
        """Labels given one by one: saved at once, recorded as versions together."""
        from app.client.annotation import Annotation

        return Annotation(self.store)

    @cached_property
    def uploads(self) -> Uploads:
        """Uploads of photos."""
        from app.client.uploads import Uploads

        return Uploads(self.store)

    @cached_property
    def jobs(self) -> Jobs:
        """Imports and audits in progress."""
        from app.client.jobs import Jobs

        return Jobs(self.store)

    @cached_property
    def label_checks(self) -> LabelChecks:
        """Checks of labels, before anything is trained on them."""
        from app.client.label_checks import LabelChecks

        return LabelChecks(self.store, self.jobs)

    @cached_property
    def evaluation(self) -> Evaluation:
        """Predictions of runs: after every epoch, and at the end."""
        from app.client.evaluation import Evaluation

        return Evaluation(self.store)

    @cached_property
    def heatmaps(self) -> HeatMapDrawer:
        """Heat-maps of stored images, drawn by the inference server."""
        from app.client.heatmaps import HeatMapDrawer

        return HeatMapDrawer(self.evaluation, self._eigen_cam)

    @cached_property
    def inference(self) -> Inference:
        """The models, in the inference server: predictions, explanations, similar images."""
        from app.client.inference import Inference

        return Inference(self.store)

    @cached_property
    def drops(self) -> Drops:
        """Photos dropped for prediction."""
        from app.client.drops import Drops

        return Drops(self.store, self.inference)

    def _eigen_cam(self, run_id: str, sha256: str) -> bytes:
        return b64decode(self.inference.explain_stored(run_id, sha256).maps[0].overlay_png or "")

    @cached_property
    def comparing(self) -> Comparing:
        """Two or more runs side by side."""
        from app.client.comparing import Comparing

        return Comparing(self.store)

    @cached_property
    def models(self) -> Models:
        """Models: versions, champions, decisions, retraining."""
        from app.client.models import Models

        return Models(self.store)

    @cached_property
    def serving(self) -> Serving:
        """Models that are served to people's own programs."""
        from app.client.serving import Serving

        return Serving(self.store)

    @cached_property
    def schedules(self) -> Schedules:
        """Automatic work: schedules, their log, watched folders."""
        from app.client.schedules import Schedules

        return Schedules(self.store)

    @cached_property
    def tuning(self) -> Tunings:
        """Searches for better workflows."""
        from app.client.tuning import Tunings

        return Tunings(self.store)


_making = threading.Lock()


def client() -> Client:
    """Return this process's client."""
    with _making:
        return _only()


@cache
def _only() -> Client:
    return Client()
