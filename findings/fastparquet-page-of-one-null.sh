#!/usr/bin/env bash
# Expected: a Parquet file with data pages of version 2 reads as it was written; they are a part of the Parquet format, and
# fastparquet reads such files of other columns. pyarrow reads this one as it was written.
# Seen: where one data page of a nullable integer column has exactly one row and that row is null, fastparquet 2026.9.0 turns
# EVERY row of the column into null, with no error and no warning. (A page with several rows and a null among them raises
# "operands could not be broadcast", and so is noticed.) With data pages of version 1 all is well.
# Why it matters: a last page of one row is nothing unusual in a file that a job writes page by page. Whoever prepares or
# compares data for a detection service with fastparquet silently trains on an empty column; read such files with a second reader.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pandas==2.3.3 pyarrow==26.0.1 fastparquet==2026.9.0
venv/bin/python - <<'PY'
import pandas as pd, pyarrow as pa, pyarrow.parquet as pq, fastparquet

rows = list(range(64)) + [None]  # pages of 8 rows: the last one holds the null alone

def read(version):
    pq.write_table(pa.table({"x": pa.array(rows, pa.int64())}), "t.parquet", data_page_version=version,
                   use_dictionary=False, write_batch_size=8, data_page_size=64)
    assert pq.read_table("t.parquet")["x"].to_pylist() == rows
    column = fastparquet.ParquetFile("t.parquet").to_pandas()["x"]
    return [None if pd.isna(v) else int(v) for v in column]

v1, v2 = read("1.0"), read("2.0")
print("written:                ", 65 - rows.count(None), "values and", rows.count(None), "null")
print("fastparquet, pages of v1:", 65 - v1.count(None), "values and", v1.count(None), "null")
print("fastparquet, pages of v2:", 65 - v2.count(None), "values and", v2.count(None), "nulls")
if v1 != rows or v2 != [None] * 65:
    raise SystemExit("fastparquet no longer behaves as stated")
PY
