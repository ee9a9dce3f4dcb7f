//! Tests of the requests that the arguments of `train` make.

use std::io::Write as _;

use clap::Parser;
use clap::error::ErrorKind;

use super::super::input;
use super::*;
use crate::proto::v1::{CsvOptions, FeatureEngineering, FeaturePolicy, Imputation, Scaler};

#[derive(Parser)]
struct Train {
    #[command(flatten)]
    args: TrainArgs,
}

fn parse(line: &[&str]) -> Result<TrainArgs, clap::Error> {
    let words = ["train"].iter().chain(line);
    Train::try_parse_from(words).map(|train| train.args)
}

fn request(line: &[&str]) -> Result<TrainRequest> {
    parse(line).expect("it parses").request()
}

/// A request for a file that holds a small table.
fn request_of_file(line: &str) -> Result<TrainRequest> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(b"t,x\nmon,1\n").expect("writes");
    let path = file.path().to_str().expect("a path of text");
    let mut words = vec!["cards", path];
    words.extend(line.split_whitespace());
    request(&words)
}

#[test]
fn every_option_reaches_the_request() {
    let made = request_of_file(
        "--detector gaussian -p ridge=0.1 --threshold -1.5 --scaler robust --request-id k --like-version 3",
    )
    .expect("it is right");
    assert_eq!(made.run_id, "cards");
    let content: &[u8] = b"t,x\nmon,1\n";
    assert_eq!(made.records, Some(input::records(content, 0, None)));
    assert_eq!(
        (made.request_id.as_str(), made.like_version),
        ("k", Some(version::of_number(3)))
    );
    let spec = made.spec.expect("a specification");
    assert_eq!(spec.policy, Some(Policy::Threshold(-1.5)));
    assert_eq!(spec.scaler(), Scaler::Robust);
    assert!(matches!(spec.detector, Some(Detector::Gaussian(_))));
    assert_eq!(spec.feature_engineering, None);

    let made = request_of_file("--contamination 0.2 --like-version active").expect("it is right");
    assert_eq!(made.like_version, version::selector("active").ok());
    let policy = made.spec.and_then(|spec| spec.policy);
    assert_eq!(policy, Some(Policy::Contamination(0.2)));
    let both = ["r", "f", "--contamination", "0.2", "--threshold", "1"];
    let error = parse(&both).expect_err("both");
    assert_eq!(error.kind(), ErrorKind::ArgumentConflict);
}

#[test]
fn columns_get_their_roles() {
    let made = request_of_file(
        "--target x --feature a,b --feature c --time-column t --series-column s --ignore i --ignore j,k --label-column y \
         --feature-policy flexible --imputation zero --max-one-hot 4 --delimiter ; --text-column zip",
    )
    .expect("it is right");
    let spec = made.spec.expect("a specification");
    assert_eq!(
        (spec.target_column.as_str(), spec.label_column.as_str()),
        ("x", "y")
    );
    assert_eq!(
        (spec.time_column.as_str(), spec.series_column.as_str()),
        ("t", "s")
    );
    assert_eq!(spec.feature_columns, ["a", "b", "c"]);
    assert_eq!(spec.ignore_columns, ["i", "j,k"]);
    assert_eq!(spec.feature_policy(), FeaturePolicy::Flexible);
    assert_eq!(spec.imputation(), Imputation::Zero);
    assert_eq!(spec.max_one_hot_categories, Some(4));
    let csv = CsvOptions {
        delimiter: ";".to_owned(),
        decimal: ".".to_owned(),
        text_columns: vec!["zip".to_owned()],
        ..CsvOptions::default()
    };
    let content: &[u8] = b"t,x\nmon,1\n";
    assert_eq!(made.records, Some(input::records(content, 0, Some(csv))));
}

#[test]
fn engineering_has_its_defaults_or_the_given_parts() {
    let spec = |line| request_of_file(line).map(|request| request.spec.unwrap_or_default());
    let made = |line| spec(line).map(|spec| spec.feature_engineering);
    assert_eq!(
        made("--engineer").expect("right"),
        Some(FeatureEngineering::default())
    );
    let parts = made(
        "--engineer --lags 1,24 --windows 0 --engineer-column a --engineer-column b --without hour,month",
    );
    let expected = FeatureEngineering {
        columns: vec!["a".to_owned(), "b".to_owned()],
        lags: vec![1, 24],
        rolling_windows: vec![0],
        hour: Some(false),
        month: Some(false),
        ..FeatureEngineering::default()
    };
    assert_eq!(parts.expect("right"), Some(expected));
    assert_eq!(
        made("--engineer --lags 0,1").expect_err("both").exit_code(),
        Some(2)
    );
    for line in [
        "--lags 1",
        "--windows 7",
        "--engineer-column a",
        "--without hour",
    ] {
        let words: Vec<&str> = ["cards", "f"].into_iter().chain(line.split(' ')).collect();
        let error = parse(&words).expect_err(line);
        assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument, "{line}");
    }
    assert!(parse(&["cards", "f", "--engineer", "--without", "hours"]).is_err());
}

#[derive(Parser)]
struct Update {
    #[command(flatten)]
    args: UpdateArgs,
}

fn update(line: &[&str]) -> Result<UpdateArgs, clap::Error> {
    let words = ["update"].iter().chain(line);
    Update::try_parse_from(words).map(|update| update.args)
}

#[test]
fn a_dataset_takes_the_place_of_a_file() {
    let june = Some(input::dataset_records("june"));
    let made = request(&["r", "--dataset", "june", "--label-column", "y"]).expect("it is right");
    let label = made.spec.map(|spec| spec.label_column);
    assert_eq!((made.records, label), (june.clone(), Some("y".to_owned())));
    let args = update(&["r", "--dataset", "june", "--request-id", "k"]).expect("it parses");
    let made = args.request().expect("it is right");
    assert_eq!((made.records, made.request_id.as_str()), (june, "k"));

    // options of a file are refused for a dataset
    for other in ["f.csv", "--delimiter=;", "--text-column=zip", "--no-header"] {
        let line = ["r", "--dataset", "june", other];
        let refused = [parse(&line).map(drop), update(&line).map(drop)];
        for error in refused.map(|parsed| parsed.expect_err(other)) {
            assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{error}");
            assert!(error.to_string().contains("--dataset"), "{error}");
        }
    }
    let error = update(&["r", "--dataset", "june", "--drop", "x"]).expect_err("no file");
    assert_eq!(error.kind(), ErrorKind::ArgumentConflict);
    let neither = update(&["r"]).expect("it parses").request();
    let error = neither.expect_err("neither");
    assert!(format!("{error:?}").contains("--dataset"), "{error:?}");
    assert_eq!(error.exit_code(), Some(2));
}

#[test]
fn a_file_or_baselines_but_not_both() {
    let baselines = ["--detector", "z_score", "-p", "baseline=x:1:2"];
    let with = |start: &[&'static str]| request(&[start, &baselines].concat());
    assert_eq!(with(&["r"]).expect("baselines").records, None);
    assert_eq!(
        with(&["r", "f.csv"]).expect_err("both").exit_code(),
        Some(2)
    );
    assert_eq!(
        with(&["r", "--dataset", "june"])
            .expect_err("both")
            .exit_code(),
        Some(2)
    );
    let error = request(&["r"]).expect_err("neither");
    assert!(format!("{error:?}").contains("--dataset"), "{error:?}");
    assert_eq!(error.exit_code(), Some(2));
}
