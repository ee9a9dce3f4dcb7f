#!/usr/bin/env bash
# Expected: DuckDB's documentation of numeric types says that NaN equals NaN and is greater than every other number, and that
# it differs there from IEEE 754. So `x > 100` and `isnan(x)` should find a NaN in a Parquet file as they find it in a table.
# Seen: DuckDB 2.0.1 trusts the minimum and maximum in the file. The Parquet format says that writers leave NaN out of them, so
# rows with NaN are pruned: count(*) with `isnan(x)`, `x > 100` or `x <> 1` is 0 on the file and 1 on a table made from it, and
# max(x) of pyarrow's file is 1, of the table NaN. Seen with files of pyarrow 26.0.1 and Polars 2.1.0; those that DuckDB wrote
# itself are read right, as it leaves the statistics out.
# Why it matters: looking for NaN is how people find out what a detector will count as missing. The check on the file says
# "none", and the service that reads every row says otherwise. Load into a table first, or write without statistics.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1
venv/bin/python - <<'PY'
import duckdb, polars as pl, pyarrow as pa, pyarrow.parquet as pq

rows = [1.0] * 5 + [float("nan")]
pq.write_table(pa.table({"x": rows}), "pyarrow.parquet")
pl.DataFrame({"x": rows}).write_parquet("polars.parquet")
duckdb.sql("create table t as select * from 'pyarrow.parquet'")
duckdb.sql("copy t to 'duckdb.parquet'")

wheres = ["isnan(x)", "x > 100", "x <> 1"]
def ask(source):
    counts = [duckdb.sql(f"select count(*) from {source} where {w}").fetchall()[0][0] for w in wheres]
    return counts, repr(duckdb.sql(f"select max(x) from {source}").fetchall()[0][0])

seen = {s: ask(s) for s in ("t", "'duckdb.parquet'", "'pyarrow.parquet'", "'polars.parquet'")}
for source, (counts, top) in seen.items():
    print(f"{source:18}", *(f"{w}: {n}  " for w, n in zip(wheres, counts)), "max:", top)
right = ([1, 1, 1], "nan")
if list(seen.values()) != [right, right, ([0, 0, 0], "1.0"), ([0, 0, 0], "nan")]:
    raise SystemExit("DuckDB no longer behaves as stated")
PY
