"""Shared by the programs of this folder: the peers that they measure against, and how ours are built."""

import csv
import math
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
VENV = ROOT / "target" / "benchmarks-venv"
PEERS = [
    "grpcio==1.85.1",
    "grpcio-tools==1.85.1",
    "isotree==0.6.1.post10",
    "numpy==2.4.6",
    "pandas==3.1.1",
    "pyarrow==26.0.1",
    "pyod==3.6.7",
    "scikit-learn==1.9.1",
    "threadpoolctl==3.8.0",
]


def enter_venv(program):
    """Restarts `program` in the virtual environment, which is created if it is missing or has other peers."""
    if Path(sys.prefix) == VENV:
        return
    stamp = VENV / "peers.txt"
    if not stamp.exists() or stamp.read_text().split() != PEERS:
        print("installing the peers into", VENV, file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
        subprocess.run([VENV / "bin/pip", "install", "--quiet", *PEERS], check=True)
        stamp.write_text("\n".join(PEERS) + "\n")
    python = VENV / "bin/python"
    os.execv(python, [python, program, *sys.argv[1:]])


def build(package):
    """Builds the programs of a package of this workspace."""
    subprocess.run(["cargo", "build", "--quiet", "--release", "--package", package], cwd=ROOT, check=True)


def at_most(work, ours, most):
    """A row of the table of a promise: what was measured, and the most that was promised."""
    ratio = most / ours if ours > 0 else math.inf
    return {"work": work, "ours": ours, "peer": most, "ratio": ratio, "wanted": 1}


def at_least(work, ours, least):
    """A row of the table of a promise: what was measured, and the least that was promised."""
    return {"work": work, "ours": ours, "peer": least, "ratio": ours / least, "wanted": 1}


def judge(rows, path):
    """Prints the rows of a table, writes them to a CSV file if there is a path, and exits with 1 if a ratio is too small."""
    print(f"{'work':70} {'ours':>10} {'promised':>10}")
    for row in rows:
        print(f"{row['work']:70} {row['ours']:10.4g} {row['peer']:10.4g}{'' if row['ratio'] >= row['wanted'] else '  SHORT'}", flush=True)
    if path:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["work", "ours", "peer", "ratio", "wanted"])
            writer.writeheader()
            writer.writerows(rows)
    if any(row["ratio"] < row["wanted"] for row in rows):
        raise SystemExit(1)


def timed(work):
    """The result of some work, and the seconds that it took."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start
