//! The requests: small ones, and trainings that take seconds.

use std::fmt::Write as _;

use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::{
    AnswerOptions, AnswerRows, Auto, FileContent, IsolationForest, Knn, LocalOutlierFactor, Matrix,
    OneClassSvm, PredictRequest, RandomForest, Records, TrainRequest, TrainingSpec,
};
use anomalyd_benchmarks::normal_rows;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

/// The number of features of all rows but those of some trainings.
pub(crate) const N_FEATURES: usize = 10;

/// Rows as packed doubles.
pub(crate) fn matrix(n_rows: usize, n_columns: usize) -> Records {
    let values = normal_rows(n_rows, n_columns);
    let bytes: Vec<u8> = values.into_iter().flat_map(f64::to_le_bytes).collect();
    records(Form::Matrix(Matrix {
        n_columns: n_columns as u32,
        values_f64le: bytes.into(),
        ..Matrix::default()
    }))
}

fn records(form: Form) -> Records {
    Records {
        form: Some(form),
        ..Records::default()
    }
}

/// A prediction of which only the summary is answered, but one row has a readable answer.
pub(crate) fn predict(run_id: &str, n_rows: usize) -> PredictRequest {
    let rows = match n_rows {
        1 => AnswerRows::Unspecified,
        _ => AnswerRows::None,
    };
    PredictRequest {
        run_id: run_id.to_owned(),
        records: Some(matrix(n_rows, N_FEATURES)),
        answer: Some(AnswerOptions {
            rows: rows.into(),
            ..AnswerOptions::default()
        }),
        ..PredictRequest::default()
    }
}

/// A training of a detector.
pub(crate) fn train(run_id: &str, records: Records, detector: Detector) -> TrainRequest {
    TrainRequest {
        run_id: run_id.to_owned(),
        records: Some(records),
        spec: Some(TrainingSpec {
            detector: Some(detector),
            ..TrainingSpec::default()
        }),
        ..TrainRequest::default()
    }
}

/// A forest, whose one-row predictions are done on the thread of the request.
pub(crate) fn forest() -> Detector {
    Detector::IsolationForest(IsolationForest::default())
}

/// A detector whose one-row predictions are done on a thread of their own.
pub(crate) fn neighbors() -> Detector {
    Detector::Knn(Knn::default())
}

/// Trainings of several kinds that take seconds on two cores, by their names.
pub(crate) fn large() -> Vec<(&'static str, TrainRequest)> {
    let of = |records, detector| train("large", records, detector);
    let trees = |n| {
        Detector::IsolationForest(IsolationForest {
            n_estimators: Some(n),
            ..IsolationForest::default()
        })
    };
    let forest = of(matrix(400_000, 10), trees(2_000));
    let auto = of(matrix(800_000, 10), Detector::Auto(Auto::default()));
    let lof = Detector::LocalOutlierFactor(LocalOutlierFactor::default());
    let lof = of(matrix(60_000, 30), lof);
    let svm = Detector::OneClassSvm(OneClassSvm::default());
    let svm = of(matrix(80_000, 10), svm);
    let mut labelled = of(
        matrix(200_000, 20),
        Detector::RandomForest(RandomForest::default()),
    );
    if let Some(Form::Matrix(matrix)) = labelled
        .records
        .as_mut()
        .and_then(|records| records.form.as_mut())
    {
        matrix.labels = (0..200_000).map(|row| f64::from(row % 10 == 0)).collect();
    }
    let objects = of(objects(150_000, 10), trees(2_000));
    let csv = of(csv(300_000, 10), trees(2_000));
    vec![
        ("isolation_forest", forest),
        ("auto", auto),
        ("local_outlier_factor", lof),
        ("one_class_svm", svm),
        ("random_forest", labelled),
        ("isolation_forest of rows as objects", objects),
        ("isolation_forest of a CSV file", csv),
    ]
}

/// Rows as objects.
fn objects(n_rows: usize, n_columns: usize) -> Records {
    let values = normal_rows(n_rows, n_columns);
    let number = |number| Value {
        kind: Some(Kind::NumberValue(number)),
    };
    let object = |row: &[f64]| {
        let fields = row.iter().enumerate();
        let fields = fields.map(|(column, value)| (format!("x{column}"), number(*value)));
        Value {
            kind: Some(Kind::StructValue(Struct {
                fields: fields.collect(),
            })),
        }
    };
    let rows = ListValue {
        values: values.chunks(n_columns).map(object).collect(),
    };
    records(Form::Rows(rows.into()))
}

/// Rows as a CSV file.
fn csv(n_rows: usize, n_columns: usize) -> Records {
    let names: Vec<_> = (0..n_columns).map(|column| format!("x{column}")).collect();
    let mut text = names.join(",");
    for row in normal_rows(n_rows, n_columns).chunks(n_columns) {
        let mut separator = '\n';
        for value in row {
            write!(text, "{separator}{value}").expect("there is memory");
            separator = ',';
        }
    }
    records(Form::File(FileContent {
        content: text.into(),
        ..FileContent::default()
    }))
}
