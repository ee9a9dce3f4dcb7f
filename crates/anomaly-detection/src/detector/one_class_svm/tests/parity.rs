use super::*;

#[test]
fn agrees_with_scikit_learn() {
    // the negative of sklearn.svm.OneClassSVM(tol=1e-9, ...).fit(rows).decision_function(probes), scikit-learn 1.9
    let row = |i: usize| {
        [
            (i * 7 % 11) as f64 / 4.0,
            (i * i % 13) as f64 / 5.0 - 1.0 + i as f64 / 50.0,
        ]
    };
    let rows = Array2::from_shape_fn((24, 2), |(i, j)| row(i)[j]);
    let probes = array![[0.5, 0.25], [3.0, -2.0], [1.25, 1.5]];
    let base = || OneClassSvmParams::new().with_tol(1e-9);
    let cases = [
        (
            base(),
            [
                -0.3615467415743212,
                3.1207778593204933,
                -0.31032136283237977,
            ],
        ),
        (
            base().with_nu(0.2).with_gamma(SvmGamma::Value(2.0)),
            [0.0842071931292131, 0.6371844457546642, -0.06835076709411025],
        ),
        (
            base().with_nu(0.1).with_gamma(SvmGamma::Auto),
            [
                -0.04512266911325191,
                0.5410480301656787,
                -0.05719729786178207,
            ],
        ),
        (
            base().with_nu(0.3).with_kernel(SvmKernel::Linear),
            [1.0658434503271461, -1.5681376235353737, -2.0826824696263095],
        ),
        (
            base()
                .with_nu(0.25)
                .with_kernel(SvmKernel::Poly)
                .with_coef0(1.0),
            [3.920274526106425, -44.10311328707048, -7.939512103174163],
        ),
        (
            base()
                .with_nu(0.4)
                .with_kernel(SvmKernel::Poly)
                .with_degree(2)
                .with_gamma(SvmGamma::Value(0.5)),
            [2.9525685864414184, -13.433075163558595, -2.9585486010585837],
        ),
        (
            base()
                .with_nu(0.4)
                .with_kernel(SvmKernel::Sigmoid)
                .with_gamma(SvmGamma::Value(0.1))
                .with_coef0(0.5),
            [
                0.1695593295868285,
                0.015007315812286315,
                -0.24249593977824357,
            ],
        ),
    ];
    for (params, expected) in cases {
        let found = score(&fit(&params, &rows), probes.view());
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 2e-6 * expected.abs().max(1.0),
                "{params:?}: {found} {expected}"
            );
        }
    }
}
