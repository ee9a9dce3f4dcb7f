//! Tests of the detectors through the library: parity with scikit-learn, PyOD, NumPy and linfa on the fixtures from
//! `make_fixtures.py`, and properties of every detector.

mod any;
mod cancellation;
mod column_order;
mod ecod;
mod fixtures;
mod gaussian;
mod hbos;
mod hostile;
mod isolation_forest;
mod knn;
mod local_outlier_factor;
mod logistic_regression;
mod metrics;
mod one_class_svm;
mod pca;
mod properties;
mod random_forest;
