#!/usr/bin/env bash
# Expected: river's AdaptiveStandardScaler is documented as the scaler for streams whose mean and variance drift. A value fifty
# units off should come out large wherever the stream lies, at 0 or at 100 million (counters, bytes, seconds since 1970).
# Seen: its stats.EWVar subtracts the square of the mean from the mean of the squares. In river 0.26.1, on a stream that
# alternates between c and c + 1, the variance is 0.249 at c = 0, and NEGATIVE for c = 1e8; the scaler then answers 0.0 for every
# value, so that an outlier of a hundred deviations looks exactly average. No error and no warning. (stats.Var is right.)
# Why it matters: it hides anomalies instead of raising them. Streaming variances need Welford's or Chan's update, and a test
# at a large offset.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.3.5 river==0.26.1
venv/bin/python -W ignore - <<'PY'
from river import preprocessing, stats

def run(offset):
    scaler, ewvar, var = preprocessing.AdaptiveStandardScaler(fading_factor=0.1), stats.EWVar(0.1), stats.Var()
    lowest = 0.0
    for i in range(500):
        value = float(offset + i % 2)
        scaler.learn_one({"x": value}); ewvar.update(value); var.update(value)
        lowest = min(lowest, ewvar.get())
    return ewvar.get(), lowest, var.get(), scaler.transform_one({"x": offset + 50.0})["x"]

for offset in (0, 10**8):
    last, lowest, var, scaled = run(offset)
    print(f"around {offset}: EWVar {last}, lowest {lowest}; Var {var:.4f}; a value 50 off is scaled to {scaled}")
near, far = run(0), run(10**8)
if not (near[3] > 90 and far[1] < 0 and far[3] == 0.0 and abs(far[2] - 0.25) < 0.01):
    raise SystemExit("river no longer behaves as stated")
PY
