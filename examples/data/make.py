"""Writes the two tables of this folder from the data that scikit-learn and river carry.

    pip install scikit-learn river
    python make.py
"""

import csv
from pathlib import Path

from river.datasets import WaterFlow
from sklearn.datasets import load_breast_cancer

HERE = Path(__file__).parent


def write(name, header, rows):
    with open(HERE / name, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def breast_cancer():
    data = load_breast_cancer()
    header = [name.replace(" ", "_") for name in data.feature_names]
    # scikit-learn codes malignant as 0 and benign as 1
    malignant = data.target_names.tolist().index("malignant")
    rows = ([*row, int(label == malignant)] for row, label in zip(data.data.tolist(), data.target))
    write("breast_cancer.csv", [*header, "malignant"], rows)


def water_flow():
    # read as text, so that every digit and time zone stays as it was donated
    with open(WaterFlow().path, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    write("water_flow.csv", header, rows)


if __name__ == "__main__":
    breast_cancer()
    water_flow()
