"""Shared by the programs of this folder: the peers that they measure against, and how ours are built."""

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


def timed(work):
    """The result of some work, and the seconds that it took."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start
