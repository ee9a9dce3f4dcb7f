use linfa::ParamGuard;

use crate::detector::{DetectorParams, KnnMethod, KnnParams};

#[test]
fn setters_affect_the_getters_and_the_check() {
    let params = KnnParams::new()
        .with_n_neighbors(7)
        .with_method(KnnMethod::Mean);
    assert_eq!(
        (params.n_neighbors(), params.method()),
        (7, KnnMethod::Mean)
    );
    assert_ne!(params, KnnParams::default());
    let valid = params.check_ref().expect("in range");
    assert_eq!((valid.n_neighbors(), valid.method()), (7, KnnMethod::Mean));
    assert_eq!(KnnParams::from(valid.clone()), params);
    assert!(params.clone().with_n_neighbors(0).check().is_err());
    assert!(params.with_n_neighbors(0).check_ref().is_err());
}

#[test]
fn stored_parameters_are_maps_of_their_fields_and_unchecked() {
    let params = KnnParams::new().with_n_neighbors(0);
    let stored = serde_json::to_string(&params).expect("text");
    assert_eq!(stored, r#"{"n_neighbors":0,"method":"largest"}"#);
    let read: KnnParams = serde_json::from_str(&stored).expect("parameters");
    assert_eq!(read, params);
    assert!(serde_json::from_str::<KnnParams>("{}").is_err());
    for params in DetectorParams::defaults() {
        let stored = crate::messagepack::written(&params).expect("bytes");
        let read: DetectorParams = crate::messagepack::read(&stored).expect("parameters");
        assert_eq!(read, params);
        assert!(read.check().is_ok(), "{read:?}");
    }
}
