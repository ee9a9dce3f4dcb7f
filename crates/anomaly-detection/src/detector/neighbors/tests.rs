use ndarray::{Array2, array};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::detector::contract::rows::{cloud, grid};

fn learn(rows: &Array2<f64>) -> (Index, Vec<u32>) {
    Index::learn(&[rows.view()], &Context::new()).expect("an index")
}

/// The squared distances of the nearest rows, by looking at all of them.
fn naive(rows: &Array2<f64>, query: &[f64], skip: Option<usize>, k: usize) -> Vec<f64> {
    let query: Vec<f64> = query.iter().map(|&x| coordinate(x)).collect();
    let mut squared: Vec<f64> = (0..rows.nrows())
        .filter(|&i| Some(i) != skip)
        .map(|i| {
            let row: Vec<f64> = rows.row(i).iter().map(|&x| coordinate(x)).collect();
            kernel::squared_distance(&row, &query)
        })
        .collect();
    squared.sort_by(f64::total_cmp);
    squared.truncate(k);
    squared
}

fn expand(found: &[Neighbor]) -> Vec<f64> {
    let copies = |it: &Neighbor| std::iter::repeat_n(it.squared, it.copies as usize);
    found.iter().flat_map(copies).collect()
}

fn check(rows: &Array2<f64>, queries: &Array2<f64>, k: usize) -> Result<(), TestCaseError> {
    let (index, point_of_row) = learn(rows);
    let k = index.n_neighbors(k);
    let mut found = vec![Vec::new(); index.n_points()];
    index
        .leave_one_out(k, 1, &mut found, &Context::new(), |it, out| {
            out[0] = expand(it);
        })
        .expect("not cancelled");
    for (i, &point) in point_of_row.iter().enumerate().step_by(7) {
        let expected = naive(rows, &rows.row(i).to_vec(), Some(i), k);
        prop_assert_eq!(&found[point as usize], &expected, "row {}", i);
    }
    let mut all = queries.outer_iter();
    let mut together = vec![Vec::new(); queries.nrows()];
    index.nearest(k, queries.view(), |i, it| together[i] = it.to_vec());
    let mut alone = Vec::new();
    for query in queries.outer_iter() {
        index.nearest(k, query.insert_axis(Axis(0)), |_, it| {
            alone.push(it.to_vec());
        });
    }
    prop_assert_eq!(&together, &alone);
    prop_assert_eq!(together.len(), queries.nrows());
    for found in &together {
        let query = all.next().expect("a query").to_vec();
        prop_assert_eq!(expand(found), naive(rows, &query, None, k));
    }
    let mut portable = vec![Vec::new(); queries.nrows()];
    let mut search = Search::new(&index.points, &index.layout, k);
    let rows: Vec<f64> = queries.iter().map(|&x| coordinate(x)).collect();
    search
        .run_with(
            crate::detector::simd::Portable,
            &rows,
            None,
            &Context::new(),
            &mut |i, it| {
                portable[i] = it.to_vec();
            },
        )
        .expect("not cancelled");
    prop_assert_eq!(portable, together);
    Ok(())
}

fn hostile() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -10.0..10.0f64,
        1 => prop::sample::select(vec![
            0.0, -0.0, 1.0, 1e300, -1e300, f64::MAX, f64::MIN, 1e-300, 5e-324, 1e150, -1e150, 1e9, 1e9 + 1.0, 1e16,
            -1e16, 3e15, 1e14, 1e-20, -1e-20, 1e-160, 1e25,
        ]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn ties_and_copies_are_found(seed: u64, n in 2..700usize, d in 1..20usize, k in 1..40usize) {
        check(&grid(n, d, seed), &grid(40, d, !seed), k)?;
    }

    #[test]
    fn clouds_are_found(
        seed: u64,
        n in 2..900usize,
        d in prop_oneof![1..12usize, 13..40usize],
        k in prop_oneof![1..30usize, 60..300usize],
        offset in prop_oneof![Just(0.0), Just(1e9), Just(-1e15)],
    ) {
        check(&cloud(n, d, offset, seed), &cloud(40, d, offset, !seed), k)?;
    }

    #[test]
    fn hostile_rows_are_found(
        d in prop_oneof![1..4usize, 16..18usize],
        values in vec(hostile(), 18 * 4..18 * 200),
        queries in vec(hostile(), 18 * 20),
        k in 1..70usize,
    ) {
        let matrix = |values: &[f64]| {
            let n = values.len() / d;
            Array2::from_shape_vec((n, d), values[..n * d].to_vec()).expect("a matrix")
        };
        check(&matrix(&values), &matrix(&queries), k)?;
    }

    #[test]
    fn the_order_of_the_rows_does_not_matter(seed: u64, n in 2..2000usize, d in 1..20usize) {
        let rows = grid(n, d, seed);
        let reversed = rows.slice(ndarray::s![..;-1, ..]).to_owned();
        let (index, points) = learn(&rows);
        let (other, mut other_points) = learn(&reversed);
        other_points.reverse();
        prop_assert_eq!(index, other);
        prop_assert_eq!(points, other_points);
    }

    #[test]
    fn an_index_survives_its_round_trip(seed: u64, n in 2..500usize, d in 1..20usize) {
        let (index, _) = learn(&grid(n, d, seed));
        let bytes = crate::messagepack::written(&index).expect("bytes");
        let read: Index = crate::messagepack::read(&bytes).expect("an index");
        read.validate().expect("valid");
        prop_assert_eq!(read, index);
    }

    #[test]
    fn points_in_any_order_are_found(seed: u64, n in 2..500usize, d in 1..5usize, k in 1..30usize) {
        // as a hostile artifact may hold them: the boxes and the blocks are made of the points, not believed
        let rows = cloud(n, d, 0.0, seed);
        let values = rows.iter().copied().collect::<Vec<_>>();
        let points = Points::of(d, values, vec![1; n]);
        let index = Index::new(points, &Context::new()).expect("not cancelled");
        let k = index.n_neighbors(k);
        let query = [0.5; 5];
        let query = ndarray::aview1(&query[..d]).insert_axis(Axis(0));
        index.nearest(k, query, |_, found| {
            assert_eq!(expand(found), naive(&rows, &[0.5; 5][..d], None, k));
        });
    }
}

#[test]
fn damaged_points_are_refused() {
    let read =
        |d, values: Vec<f64>, copies: Vec<u32>| Index::try_from(Points::of(d, values, copies));
    read(2, vec![0.0, 1.0, 2.0, 3.0], vec![1, 1]).expect("sound");
    let damages = [
        read(2, vec![0.0, 1.0, 2.0], vec![1, 1]),
        read(2, vec![0.0, 1.0, 2.0, 3.0], vec![1]),
        read(2, vec![0.0, 1.0, 2.0, 3.0], vec![1, 0]),
        read(2, vec![0.0, 1.0], vec![1]),
        read(2, vec![], vec![]),
        read(0, vec![], vec![1, 1]),
        read(usize::MAX, vec![0.0, 1.0], vec![1, 1]),
        read(1, vec![0.0, f64::NAN], vec![1, 1]),
        read(1, vec![0.0, f64::INFINITY], vec![1, 1]),
        read(1, vec![0.0, 1e151], vec![1, 1]),
        read(1, vec![0.0, 1.0], vec![u32::MAX, u32::MAX]),
    ];
    for (i, damaged) in damages.into_iter().enumerate() {
        let error = damaged.expect_err(&format!("damage {i}"));
        assert_eq!(error.reason(), reason::DAMAGED_ARTIFACT);
    }
}

#[test]
fn too_small_and_too_large_problems_are_refused() {
    for rows in [
        Array2::zeros((1, 3)),
        Array2::zeros((5, 0)),
        Array2::zeros((0, 2)),
    ] {
        let error = Index::learn(&[rows.view()], &Context::new()).expect_err("too little");
        assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
    }
    let wide = ndarray::aview0(&0.0);
    let wide = wide
        .broadcast((2_000_000, 100))
        .expect("a view of one number");
    let error = Index::learn(&[wide], &Context::new()).expect_err("too much");
    assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
    assert!(error.message().contains("fewer rows"), "{error}");
}

#[test]
fn the_two_zeros_are_one_point() {
    let (index, points) = learn(&array![[0.0, 1.0], [-0.0, 1.0], [2.0, 1.0]]);
    assert_eq!(index.n_points(), 2);
    assert_eq!(points[0], points[1]);
}

#[test]
fn copies_cost_no_more_than_one_row() {
    let mut rows = Array2::zeros((300_000, 3));
    rows[(7, 1)] = 1.0;
    let (index, _) = learn(&rows);
    assert_eq!(index.n_points(), 2);
    index.nearest(20, rows.slice(ndarray::s![7..8, ..]), |_, found| {
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].copies, 19);
    });
}

#[test]
fn a_cancelled_context_stops_it() {
    let context = Context::new();
    let rows = cloud(500, 2, 0.0, 1);
    let (index, _) = learn(&rows);
    context.cancel();
    let error = Index::learn(&[rows.view()], &context).expect_err("cancelled");
    assert_eq!(error.reason(), reason::CANCELLED);
    let mut out = vec![0; index.n_points()];
    let error = index.leave_one_out(3, 1, &mut out, &context, |_, _| ());
    assert_eq!(error.expect_err("cancelled").reason(), reason::CANCELLED);
}
