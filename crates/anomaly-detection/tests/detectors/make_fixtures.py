#!/usr/bin/env python3
"""Makes the fixtures of the parity tests: synthetic tables from fixed seeds, and what scikit-learn, PyOD and NumPy say of them.

Usage: tests/detectors/make_fixtures.py [DETECTOR ...]

Runs in the virtual environment of the benchmarks, whose peers are pinned, and notes their versions in what it writes. The
tables are in `fixtures/tables.json`, the expectations of each detector in a file of its name. Scores are higher for what is
more anomalous.
"""

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

sys.dont_write_bytecode = True
FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent.parent / "benchmarks"))
from common import enter_venv, timed

if __name__ == "__main__":
    enter_venv(__file__)

import numpy
from pyod.models.ecod import ECOD
from pyod.models.hbos import HBOS
from pyod.models.knn import KNN
from sklearn.covariance import EmpiricalCovariance
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM

# enough for a mean AUROC that is good to 0.003
SEEDS = range(20)
VERSIONS = {package: version(package) for package in ("numpy", "scikit-learn", "pyod")}


def table(rows, labels, n_new, digits=4):
    """A table as it reaches a detector: standardised, unless `digits` is None, and cut to few digits. The last rows are new."""
    if digits is not None:
        known = rows[:-n_new]
        rows = ((rows - known.mean(axis=0)) / known.std(axis=0)).round(digits)
    return {
        "rows": rows[:-n_new],
        "labels": labels[:-n_new],
        "new_rows": rows[-n_new:],
        "new_labels": labels[-n_new:],
    }


def blobs(random, n, d, spread):
    """Three clouds, and one row of ten anywhere around them; the rows and which are of the latter."""
    centres = random.normal(scale=4, size=(3, d))
    rows = centres[random.integers(3, size=n)] + random.normal(size=(n, d)) * [1, 0.5, 0.2][:d]
    labels = random.random(n) < 0.1
    rows[labels] = random.uniform(-spread, spread, size=(labels.sum(), d))
    return rows, labels


def tables():
    random = numpy.random.default_rng(20080)
    rows, labels = blobs(random, 260, 3, 8)
    yield "blobs", table(rows, labels, 60)

    rows, labels = blobs(random, 80, 2, 10)
    # some rows 30 times, more often than LOF has neighbours, some a few times, some once
    copies = numpy.repeat(numpy.arange(80), numpy.where(numpy.arange(80) < 3, 30, 1 + numpy.arange(80) % 3))
    copies = random.permutation(copies)
    yield "duplicates", table(rows[copies], labels[copies], 50)

    rows = random.poisson([2, 5, 1, 9], size=(240, 4))
    labels = random.random(240) < 0.1
    rows[labels] += random.integers(0, 8, size=(labels.sum(), 4))
    yield "integers", table(rows, labels, 50, digits=None)

    rows = random.normal(size=(200, 1)) ** 3
    yield "line", table(rows, numpy.abs(rows[:, 0]) > 3, 50)

    rows = random.normal(size=(190, 8)) @ random.normal(size=(8, 30)) + random.normal(size=(190, 30))
    labels = random.random(190) < 0.1
    rows[labels] += random.normal(scale=2, size=(labels.sum(), 30))
    yield "wide", table(rows, labels, 40)

    # two overlapping classes, one row of five an anomaly; enough new rows to tell rankings apart
    labels = random.random(700) < 0.2
    rows = random.normal(size=(700, 5)) + labels[:, None] * [1.2, 0.8, 0, -0.6, 0.3]
    rows[:, 2] += rows[:, 0] * rows[:, 1]
    yield "classes", table(rows, labels, 400, digits=3)


def scores(train_scores, new_scores):
    return {"train_scores": train_scores, "new_scores": new_scores}


def local_outlier_factor(tables):
    # which of equally near rows are neighbours is left open by the definition: over the rows in another order, a kd-tree finds
    # others. Brute force of scikit-learn is no reference: it takes distances from products, which loses digits
    for name in ("blobs", "duplicates", "integers", "line", "wide"):
        rows, new_rows = tables[name]["rows"], tables[name]["new_rows"]
        for n_neighbors in (20, 5) if name in ("blobs", "duplicates") else (20,):

            def answer(order):
                model = LocalOutlierFactor(n_neighbors=n_neighbors, novelty=True, algorithm="kd_tree", leaf_size=len(rows))
                model.fit(rows[order])
                train_scores = numpy.empty(len(rows))
                train_scores[order] = -model.negative_outlier_factor_
                return numpy.concatenate([train_scores, -model.score_samples(new_rows)])

            answers = [answer(numpy.random.default_rng(seed).permutation(len(rows))) for seed in range(20)]
            tied = name == "integers"
            if not tied:
                numpy.testing.assert_allclose(answers, numpy.tile(answers[0], (len(answers), 1)), rtol=1e-11)
            expected = numpy.split(numpy.mean(answers, axis=0), [len(rows)])
            yield {"table": name, "params": {"n_neighbors": n_neighbors}, "tied": tied, **scores(*expected)}


def knn(tables):
    for name in ("blobs", "duplicates", "integers", "line", "wide"):
        for method in ("largest", "mean", "median") if name == "duplicates" else ("largest",):
            model = KNN(n_neighbors=5, method=method, algorithm="kd_tree").fit(tables[name]["rows"])
            expected = scores(model.decision_scores_, model.decision_function(tables[name]["new_rows"]))
            yield {"table": name, "params": {"n_neighbors": 5, "method": method}, **expected}


def pca(tables):
    for name, n_components in (("blobs", None), ("integers", None), ("line", None), ("wide", None), ("wide", 5)):
        rows, new_rows = tables[name]["rows"], tables[name]["new_rows"]
        values, vectors = numpy.linalg.eigh(numpy.atleast_2d(numpy.cov(rows, rowvar=False)))
        kept = numpy.argsort(-values)[:n_components]
        projected = [(part - rows.mean(axis=0)) @ vectors[:, kept] for part in (rows, new_rows)]
        expected = scores(*((part**2 / values[kept]).sum(axis=1) for part in projected))
        yield {"table": name, "params": {"n_components": n_components}, **expected}


def gaussian(tables):
    for name in ("blobs", "duplicates", "integers", "line", "wide"):
        rows, new_rows = tables[name]["rows"], tables[name]["new_rows"]
        model = EmpiricalCovariance().fit(rows)
        correlations = numpy.atleast_2d(numpy.corrcoef(rows, rowvar=False))
        expected = scores(*(numpy.sqrt(model.mahalanobis(part)) for part in (rows, new_rows)))
        smallest = numpy.linalg.eigvalsh(correlations)[0]
        yield {"table": name, "params": {}, "smallest_eigenvalue": smallest, **expected}


def ecod(tables):
    for name in ("blobs", "duplicates", "integers", "line", "wide"):
        yield {"table": name, "params": {}, "train_scores": ECOD().fit(tables[name]["rows"]).decision_scores_}


def hbos(tables):
    for name in ("blobs", "duplicates", "integers", "line", "wide"):
        for n_bins in (10, 25) if name == "blobs" else (10,):
            model = HBOS(n_bins=n_bins).fit(tables[name]["rows"])
            yield {"table": name, "params": {"n_bins": {"count": n_bins}}, "train_scores": model.decision_scores_}


def one_class_svm(tables):
    cases = [
        ("blobs", {"nu": 0.5, "kernel": "rbf", "gamma": "scale"}),
        ("blobs", {"nu": 0.1, "kernel": "rbf", "gamma": {"value": 0.7}}),
        ("blobs", {"nu": 0.3, "kernel": "poly", "gamma": "auto", "degree": 2, "coef0": 1.0}),
        ("blobs", {"nu": 0.3, "kernel": "poly", "gamma": "auto", "degree": 3, "coef0": 0.0}),
        ("blobs", {"nu": 0.3, "kernel": "sigmoid", "gamma": {"value": 0.05}, "coef0": 0.2}),
        ("duplicates", {"nu": 0.5, "kernel": "rbf", "gamma": "scale"}),
        ("duplicates", {"nu": 0.3, "kernel": "poly", "gamma": "auto", "degree": 2, "coef0": 1.0}),
        ("integers", {"nu": 0.5, "kernel": "rbf", "gamma": "scale"}),
        # no line separates standardised rows from the origin
        ("integers", {"nu": 0.2, "kernel": "linear"}),
        ("line", {"nu": 0.5, "kernel": "rbf", "gamma": "scale"}),
        ("wide", {"nu": 0.5, "kernel": "rbf", "gamma": "scale"}),
        ("wide", {"nu": 0.2, "kernel": "sigmoid", "gamma": {"value": 0.01}, "coef0": 0.5}),
    ]
    for name, params in cases:
        rows, new_rows = tables[name]["rows"], tables[name]["new_rows"]
        given = {key: value["value"] if isinstance(value, dict) else value for key, value in params.items()}
        # solved far beyond the default tolerance, so that only ours is approximate
        model = OneClassSVM(**given, tol=1e-7).fit(rows)
        yield {"table": name, "params": params, **scores(-model.decision_function(rows), -model.decision_function(new_rows))}


def logistic_regression(tables):
    uniform, balanced, given = ("uniform", None), ("balanced", "balanced"), ({"given": {"normal": 0.5, "anomaly": 3.0}}, {0: 0.5, 1: 3.0})
    cases = [("classes", c, weight) for c in (0.01, 1.0, 100.0) for weight in (uniform, balanced, given)]
    cases += [(name, 1.0, weight) for name in ("integers", "wide") for weight in (uniform, balanced)]
    for name, c, (ours, peers) in cases:
        model = LogisticRegression(C=c, class_weight=peers, solver="newton-cholesky", tol=1e-12, max_iter=1000)
        model.fit(tables[name]["rows"], tables[name]["labels"])
        params = {"c": c, "class_weight": ours}
        yield {"table": name, "params": params, "coefficients": model.coef_[0], "intercept": model.intercept_[0]}


def isolation_forest(tables):
    for name in ("blobs", "integers", "classes"):
        rows, labels = tables[name]["rows"], tables[name]["labels"]
        forests = [IsolationForest(n_estimators=100, random_state=seed).fit(rows) for seed in SEEDS]
        aurocs = [roc_auc_score(labels, -forest.score_samples(rows)) for forest in forests]
        yield {"table": name, "params": {}, "seeds": list(SEEDS), "mean_auroc": numpy.mean(aurocs)}


def random_forest(tables):
    known, new = (tables["classes"][part] for part in ("rows", "new_rows"))
    labels, new_labels = (tables["classes"][part] for part in ("labels", "new_labels"))
    cases = [
        ({}, {}),
        ({"max_depth": 4, "class_weight": "balanced"}, {"max_depth": 4, "class_weight": "balanced"}),
        ({"min_samples_leaf": 5, "max_features": {"fraction": 1.0}}, {"min_samples_leaf": 5, "max_features": 1.0}),
    ]
    for ours, peers in cases:
        forests = [RandomForestClassifier(n_estimators=100, random_state=seed, **peers).fit(known, labels) for seed in SEEDS]
        aurocs = [roc_auc_score(new_labels, forest.predict_proba(new)[:, 1]) for forest in forests]
        yield {"table": "classes", "params": ours, "seeds": list(SEEDS), "mean_auroc": numpy.mean(aurocs)}


DETECTORS = [
    local_outlier_factor,
    knn,
    pca,
    gaussian,
    ecod,
    hbos,
    one_class_svm,
    logistic_regression,
    isolation_forest,
    random_forest,
]


def plain(value):
    """The value for JSON: arrays as lists."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, numpy.ndarray):
        return plain(value.tolist())
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, numpy.generic):
        return plain(value.item())
    return value


def write(name, content):
    """Writes a fixture, an array of numbers a line."""
    text = json.dumps(plain({"versions": VERSIONS} | content), indent=1, allow_nan=False)
    # the arrays that json spreads over lines, joined again
    lines, open_array = [], False
    for line in text.split("\n"):
        number = line.strip().rstrip(",")
        if open_array and (number == "null" or number == "]" or number in ("true", "false") or number[:1] in "-0123456789"):
            lines[-1] += line.strip()
            open_array = number != "]"
            continue
        lines.append(line.strip())
        open_array = line.endswith("[")
    (FOLDER / "fixtures" / f"{name}.json").write_text("\n".join(lines) + "\n")


def main():
    warnings.simplefilter("ignore")
    (FOLDER / "fixtures").mkdir(exist_ok=True)
    made = dict(tables())
    write("tables", {"tables": made})
    for detector in DETECTORS:
        if sys.argv[1:] and detector.__name__ not in sys.argv[1:]:
            continue
        cases, seconds = timed(lambda: list(detector(made)))
        write(detector.__name__, {"cases": cases})
        print(f"{detector.__name__}: {len(cases)} cases in {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
