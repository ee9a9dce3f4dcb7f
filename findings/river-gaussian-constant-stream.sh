#!/usr/bin/env bash
# Expected: river documents the score of anomaly.GaussianScorer as 2 |CDF(y) - 0.5|: 0 for a value at the mean, near 1 far away.
# A stream that has only ever shown 5.0 should score 5.0 as normal.
# Seen: while the variance is 0, river 0.26.1 scores the mean itself as 1.0, the most anomalous there is, because the cumulative
# distribution is 1 there. A ThresholdFilter at 0.99 flags every one of 100 equal values after the grace period.
# Why it matters: streams that stand still (an idle machine, a rate of 0) are where a service must stay quiet. A zero
# deviation needs a rule of its own: equal to the mean is normal, anything else is not.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.3.5 river==0.26.1
venv/bin/python -W ignore - <<'PY'
from river import anomaly

detector = anomaly.ThresholdFilter(anomaly.GaussianScorer(grace_period=5), threshold=0.99)
flagged = 0
for _ in range(100):
    score = detector.score_one(None, 5.0)
    flagged += detector.classify(score)
    detector.learn_one(None, 5.0)
varied = anomaly.GaussianScorer(grace_period=5)
for i in range(100):
    varied.learn_one(None, 4.0 + 2 * (i % 2))
at_mean = varied.score_one(None, 5.0)
print("100 times the value 5.0:", flagged, "flagged; the last score is", score)
print("around a mean of 5 with some spread, 5.0 scores", at_mean)
if flagged < 90 or score != 1.0 or abs(at_mean) > 1e-9:
    raise SystemExit("river no longer behaves as stated")
PY
