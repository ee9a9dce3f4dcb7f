#!/usr/bin/env bash
# Expected: PyOD's PCA detector documents its score as the sum of weighted distances to the eigenvectors, standardises columns
# by default, and says nothing of constant columns. One that never changes should tell nothing, and the other columns decide.
# Seen: with one constant column, PyOD 3.6.7 divides by that eigenvector's share of variance, which is 0. Every training score is
# inf, threshold_ is nan, and since nothing is greater than nan, labels_ and predict() call every row normal, with no error.
# Without that column the same row, ten deviations away, is flagged.
# Why it matters: constant columns are common in real tables (one site, one version, a sensor that is off). A service that
# compares itself with PyOD needs a cut below which components are dropped, and a test with a constant column.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.3.5 scikit-learn==1.9.1 pyod==3.6.7
venv/bin/python -W ignore - <<'PY'
import numpy as np
from pyod.models.pca import PCA

rows = np.random.default_rng(0).normal(size=(300, 3))
far = np.array([[10.0, 10.0, 10.0]])
plain = PCA().fit(rows)
constant = PCA().fit(np.c_[rows, np.full(300, 3.0)])
a, b = plain.predict(far)[0], constant.predict(np.c_[far, 3.0])[0]
print("3 columns:                ", plain.labels_.sum(), "of 300 flagged, threshold", plain.threshold_, "far row:", a)
print("the same and one constant:", constant.labels_.sum(), "of 300 flagged, threshold", constant.threshold_, "far row:", b)
print("scores with the constant:", constant.decision_scores_[:3])
if not (plain.labels_.sum() == 30 and a == 1 and constant.labels_.sum() == 0 and b == 0
        and np.isnan(constant.threshold_) and np.isinf(constant.decision_scores_).all()):
    raise SystemExit("PyOD no longer behaves as stated")
PY
