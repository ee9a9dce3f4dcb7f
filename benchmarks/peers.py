"""The peers whose accuracy ours is compared with: detectors of scikit-learn, PyOD or NumPy, called like ours.

A peer is fitted on some rows and scores others; higher is more anomalous. Rows come without missing values, and standardised
where our detector standardises by default.
"""

import os
import warnings
from dataclasses import dataclass
from typing import Callable

import numpy
from pyod.models.ecod import ECOD
from pyod.models.hbos import HBOS
from pyod.models.knn import KNN
from pyod.models.pca import PCA
from sklearn.covariance import EmpiricalCovariance
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

THREADS = os.cpu_count()


class MaxAbsZ:
    """The largest absolute z-score of a row's features."""

    def fit(self, rows):
        self.mean, self.std = rows.mean(axis=0), rows.std(axis=0, ddof=1)
        self.std[self.std == 0] = 1
        return self

    def score(self, rows):
        return numpy.abs((rows - self.mean) / self.std).max(axis=1)


@dataclass(frozen=True)
class Peer:
    """The peer of one of our detectors."""

    name: str
    make: Callable
    score: Callable
    standardise: bool = False
    seeded: bool = False

    def scores(self, train, test, labels=None, seed=0):
        """Fits the peer on some rows, with their labels if it is supervised; its scores of others."""
        medians = numpy.nan_to_num(numpy.nanmedian(train, axis=0))
        train, test = (numpy.where(numpy.isnan(rows), medians, rows) for rows in (train, test))
        if self.standardise:
            scaler = StandardScaler().fit(train)
            train, test = scaler.transform(train), scaler.transform(test)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = self.make(seed) if self.seeded else self.make()
            model.fit(train) if labels is None else model.fit(train, labels)
            return self.score(model, test)


def normality(model, rows):
    return -model.score_samples(rows)


def probability(model, rows):
    return model.predict_proba(rows)[:, 1]


def decision(model, rows):
    return model.decision_function(rows)


PEERS = {
    "isolation_forest": Peer(
        "scikit-learn IsolationForest",
        lambda seed: IsolationForest(n_estimators=100, random_state=seed, n_jobs=THREADS),
        normality,
        seeded=True,
    ),
    "gaussian": Peer("scikit-learn EmpiricalCovariance", EmpiricalCovariance, lambda model, rows: model.mahalanobis(rows)),
    "z_score": Peer("NumPy max |z|", MaxAbsZ, lambda model, rows: model.score(rows)),
    "one_class_svm": Peer(
        "scikit-learn OneClassSVM",
        lambda: OneClassSVM(cache_size=1000),
        lambda model, rows: -model.decision_function(rows),
        standardise=True,
    ),
    "local_outlier_factor": Peer(
        "scikit-learn LocalOutlierFactor",
        lambda: LocalOutlierFactor(novelty=True, n_jobs=THREADS),
        normality,
        standardise=True,
    ),
    "knn": Peer("PyOD KNN", lambda: KNN(n_jobs=THREADS), decision, standardise=True),
    "random_forest": Peer(
        "scikit-learn RandomForestClassifier",
        lambda seed: RandomForestClassifier(n_estimators=100, random_state=seed, n_jobs=THREADS),
        probability,
        seeded=True,
    ),
    "logistic_regression": Peer(
        "scikit-learn LogisticRegression", lambda: LogisticRegression(max_iter=1000), probability, standardise=True
    ),
    "hbos": Peer("PyOD HBOS", HBOS, decision),
    "ecod": Peer("PyOD ECOD", ECOD, decision),
    "pca": Peer("PyOD PCA", PCA, decision, standardise=True),
}
