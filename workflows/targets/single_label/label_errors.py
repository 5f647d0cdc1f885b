"""Which labels are probably wrong.

Training images are judged by how they were learnt: an image whose label keeps losing against another
class through all epochs is suspicious (area under the margin: Pleiss et al. 2020, "Identifying Mislabeled
Data using the Area Under the Margin Ranking"). Validation and test images, which the network never
learnt, are judged by its final answer (confident learning: Northcutt et al. 2021, "Confident Learning:
Estimating Uncertainty in Dataset Labels").

Score first, judge after: every image that prefers another class gets a score, and `is_suspected` says
whether it passes the thresholds below. They were chosen on flower photographs with planted wrong labels
(heads trained on frozen features) and then measured on other random draws of the same 3,670, two for each
of four trainings of 3-20 epochs:

* training images (2,569; 2 and 5 % planted): 53-94 % of those selected had been planted, and 21-70 % of
  the planted ones were selected, fewest by the longest training, which had learnt them by heart;
* held-out images (1,101): 42-69 % at 2 % planted, 76-88 % at 5 %; but 15-50 % for the longest training,
  whose confidence was far too high: look at the calibration before believing them;
* the held-out images of another training (1,102), with calibrated confidences against the network's own: at 2 %
  planted 54 % of those selected against 71 %, which found 75 % of the planted ones against 65 %; at 5 % 76 % against
  86 %, which found 80 % against 70 %;
* labels as they came: about 1 % selected (5 % of the held-out ones after the longest training).

With 210 training images the selections were a handful, and too few to say how good they are. What none of
this can tell apart is a wrong label and a right one on a very unusual picture.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from workflows.targets.single_label.tables import probability_matrix

# A training label is suspected if its area under the margin is negative (Pleiss et al. learn the limit from
# threshold samples, which would cost a second training) and also far below what is usual for its class, in
# robust standard deviations: a network still far from trained has many negative ones.
ROBUST_DEVIATIONS = 2.5

# A held-out label is suspected if confident learning counts it as off-diagonal and the belief in the other
# class outweighs the belief in the label this clearly.
HELD_OUT_SCORE = 0.95

# With fewer images than this a class has no usual spread of its own: that of all classes is used.
SMALL_CLASS = 12

COLUMNS = ["image_id", "split", "label", "suggested", "score", "is_suspected", "area_under_margin", "why"]


def suspected_labels(dynamics: pd.DataFrame | None, predictions: pd.DataFrame | None) -> pd.DataFrame:
    """Score every image whose label loses against another class, the most suspicious first.

    Args:
        dynamics: Of training images, over all epochs: `image_id`, `label`, `margin` and, where it was
            recorded, `other` (the class that the margin was taken to); see
            :func:`workflows.targets.single_label.tables.dynamics_table`. None or empty: they are left out.
        predictions: The final predictions table; its training images are ignored, because what was
            learnt by heart cannot be doubted by recalling it. None or empty: none are judged.

    Returns:
        `image_id`, `split`, `label`, `suggested` (the class believed instead; "" where unknown), `score`
        (in [0.5, 1]: the belief in the other class as a share of the belief in both), `is_suspected`
        (bool), `area_under_margin` (mean margin in logits over the epochs; NaN outside training), `why`
        (in words). Suspected first, then by score.
    """
    tables = []
    if dynamics is not None and not dynamics.empty:
        tables.append(_from_dynamics(dynamics))
    if predictions is not None and not predictions.empty:
        tables.extend(
            _from_answers(part).assign(split=str(split))
            for split, part in predictions[predictions["split"] != "train"].groupby("split", sort=True)
        )
    if not tables:
        return pd.DataFrame({name: [] for name in COLUMNS})
    found = pd.concat(tables, ignore_index=True)
    return found.sort_values(["is_suspected", "score", "image_id"], ascending=[False, False, True])[
        COLUMNS
    ].reset_index(drop=True)


def _from_dynamics(dynamics: pd.DataFrame) -> pd.DataFrame:
    """Judge training images by the area under their margins."""
    # the label stays a category here: as text, the rows of a long training would fill the memory
    marked = dynamics.assign(negative=dynamics["margin"] < 0)
    images = marked.groupby("image_id", sort=True).agg(
        area=("margin", "mean"), epochs=("margin", "size"), negative=("negative", "sum")
    )
    labels = marked.drop_duplicates("image_id", keep="last").set_index("image_id")["label"].astype(object)
    images["label"] = labels.reindex(images.index)
    usual, spread = _usual_of_class(images)
    low = images["area"].to_numpy() < usual - ROBUST_DEVIATIONS * spread
    images["is_suspected"] = low & (images["area"].to_numpy() < 0)
    images["suggested"] = _rivals(marked).reindex(images.index, fill_value="").fillna("")
    images = images[images["area"] < 0].reset_index()
    columns = (images["negative"], images["epochs"], images["suggested"], images["label"])
    why = [
        f"in {negative} of {epochs} epochs the network preferred {suggested or 'another class'} "
        f"while it was being taught {label}"
        for negative, epochs, suggested, label in zip(*columns, strict=True)
    ]
    return images.assign(
        split="train",
        score=expit(-images["area"].to_numpy(dtype=np.float64)),
        area_under_margin=images["area"].astype(np.float64),
        why=pd.Series(why, index=images.index, dtype=object),
    )


def _usual_of_class(images: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and robust standard deviation of the area, of each image's class (of all, in small classes)."""
    area = images["area"].astype(np.float64)
    by_class = area.groupby(images["label"])
    centre = by_class.transform("median")
    off = (area - centre).abs()
    spread = off.groupby(images["label"]).transform("median")
    everywhere = float(off.median())
    small = by_class.transform("size") < SMALL_CLASS
    spread = spread.where(~small, everywhere)
    centre = centre.where(~small, float(area.median()))
    # 1.4826: makes the median deviation of a normal distribution its standard deviation
    return centre.to_numpy(), 1.4826 * np.maximum(spread.to_numpy(), 1e-9)


def _rivals(dynamics: pd.DataFrame) -> pd.Series:
    """Return the class that won most often against each image's label, the later epoch on a tie."""
    if "other" not in dynamics:
        return pd.Series(dtype=object)
    lost = dynamics[dynamics["negative"]]
    lost = lost.assign(other=lost["other"].astype(object))
    order = "step" if "step" in lost else "margin"
    wins = lost.groupby(["image_id", "other"])[order].agg(["size", "max"]).reset_index()
    best = wins.sort_values(["size", "max"]).drop_duplicates("image_id", keep="last")
    return best.set_index("image_id")["other"]


def _from_answers(part: pd.DataFrame) -> pd.DataFrame:
    """Judge the held-out images of one split by confident learning, among the best classes of each answer."""
    labels = part["label"].astype(object).to_numpy()
    names = np.array([list(best) for best in part["top"]], dtype=object)
    believed = -np.sort(-probability_matrix(part).astype(np.float64), axis=1)[:, : names.shape[1]]
    own = np.exp(-part["log_loss"].to_numpy(dtype=np.float64))
    # A class counts as believed where its probability reaches what is usual among images of that class.
    by_label = pd.Series(own).groupby(labels).mean()
    usual = by_label.reindex(names.ravel()).fillna(np.inf).to_numpy().reshape(names.shape)
    is_other = names != labels[:, None]
    strong = is_other & (believed >= usual)
    rows = np.arange(len(labels))
    # the most probable strong class, else simply the most probable other one (the columns are in that order)
    rival = np.where(strong.any(axis=1), strong.argmax(axis=1), is_other.argmax(axis=1))
    suggested, belief = names[rows, rival], believed[rows, rival]
    score = belief / np.maximum(belief + own, np.finfo(np.float64).tiny)
    table = pd.DataFrame(
        {
            "image_id": part["image_id"].to_numpy(),
            "label": labels,
            "suggested": suggested,
            "score": score,
            "is_suspected": strong.any(axis=1) & (score >= HELD_OUT_SCORE),
            "area_under_margin": np.nan,
            "why": [
                f"never taught, the network gives {other} {theirs:.1%} and {label} {current:.1%}"
                for other, theirs, label, current in zip(suggested, belief, labels, own, strict=True)
            ],
        }
    )
    return table[table["score"] > 0.5]
