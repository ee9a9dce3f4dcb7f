#!/usr/bin/env bash
# Expected: a filter is only a faster way to the same rows. pyarrow documents for parquet.read_table that `filters` also selects
# rows inside row groups, and NaN != 1.0 is true in pyarrow, so read-then-filter and read-with-filter should agree.
# Seen: in pyarrow 26.0.1, and so in pandas.read_parquet, a row group whose other values are all equal is dropped by
# `x != value`, by `~(x <= value)` and even by `is_nan(x)`: its statistics say minimum = maximum = value, as writers leave NaN
# out of them. Filtering the same table in memory keeps the row. Polars' lazy scan of the same file finds it, too.
# Why it matters: "drop the idle value, keep the rest" is a common first step on sensor columns, which are constant for long;
# the broken readings disappear before any detector sees them. Filter after reading where NaN can occur.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pandas==2.3.3 pyarrow==26.0.1 polars==2.1.0
venv/bin/python - <<'PY'
import pandas as pd, polars as pl, pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq

pq.write_table(pa.table({"x": [1.0] * 5 + [float("nan")]}), "t.parquet")
x = pc.field("x")
table = pq.read_table("t.parquet")
seen = []
for name, expression in (("x != 1", x != 1.0), ("not x <= 1", ~(x <= 1.0)), ("is_nan(x)", pc.is_nan(x))):
    seen.append((table.filter(expression).num_rows, pq.read_table("t.parquet", filters=expression).num_rows))
    print(f"pyarrow {name:11} in memory: {seen[-1][0]} row, while reading: {seen[-1][1]} rows")
pandas = len(pd.read_parquet("t.parquet", filters=[("x", "!=", 1.0)]))
polars = pl.scan_parquet("t.parquet").filter(pl.col("x") != 1.0).collect().height
print("pandas  x != 1      while reading:", pandas, "rows")
print("Polars  x != 1      while reading:", polars, "row")
if seen != [(1, 0)] * 3 or pandas != 0 or polars != 1:
    raise SystemExit("pyarrow no longer behaves as stated")
PY
