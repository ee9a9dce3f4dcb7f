use ndarray::Array2;

use super::*;

#[test]
fn every_row_is_kept_with_the_same_probability() {
    let rows = Array2::from_shape_fn((200, 1), |(row, _)| row as f64);
    let mut kept = [0u32; 200];
    for seed in 0..2000 {
        let mut reservoir = Reservoir::new(20, 1, seed);
        reservoir.offer(rows.view(), None).expect("fits");
        assert_eq!((reservoir.seen(), reservoir.n_rows()), (200, 20));
        for &row in &reservoir.rows {
            kept[row as usize] += 1;
        }
    }
    // each count is binomial(2000, 0.1): mean 200, standard deviation 13.4
    assert!(
        kept.iter().all(|&count| (130..=270).contains(&count)),
        "{kept:?}"
    );
}

#[test]
fn rows_may_be_offered_in_parts_and_labels_stay_with_their_rows() {
    let rows = Array2::from_shape_fn((500, 2), |(row, column)| (row * 2 + column) as f64);
    let labels: Vec<Label> = (0..500).map(|row| Some(row % 3 == 0)).collect();
    let mut whole = Reservoir::new(50, 2, 1);
    whole.offer(rows.view(), Some(&labels)).expect("fits");
    let mut parts = Reservoir::new(50, 2, 1);
    for start in (0..500).step_by(125) {
        let part = rows.slice(ndarray::s![start..start + 125, ..]).to_owned();
        parts
            .offer(part.view(), Some(&labels[start..start + 125]))
            .expect("fits");
    }
    assert_eq!(whole, parts);
    let held = whole.rows().expect("sound");
    for (row, label) in held
        .rows()
        .into_iter()
        .zip(whole.labels().expect("has labels"))
    {
        assert_eq!(label, Some((row[0] as usize / 2).is_multiple_of(3)));
    }
}

#[test]
fn the_capacity_is_limited_by_the_cells_of_a_table() {
    assert_eq!(Reservoir::new(10_000, MAX_CELLS / 2, 0).capacity, 2);
    assert_eq!(Reservoir::new(10_000, 10, 0).capacity, 10_000);
    assert_eq!(Reservoir::new(10_000, usize::MAX, 0).capacity, 1);
}

#[test]
fn labels_may_come_and_go() {
    let rows = Array2::zeros((3, 1));
    let mut reservoir = Reservoir::new(10, 1, 0);
    reservoir.offer(rows.view(), None).expect("fits");
    assert_eq!(reservoir.labels(), None);
    reservoir
        .offer(rows.view(), Some(&[Some(true), None, Some(false)]))
        .expect("fits");
    reservoir.offer(rows.view(), None).expect("fits");
    let expected = [
        None,
        None,
        None,
        Some(true),
        None,
        Some(false),
        None,
        None,
        None,
    ];
    assert_eq!(reservoir.labels(), Some(expected.to_vec()));
    assert!(reservoir.validate_rows(1).is_ok() && reservoir.validate_rows(2).is_err());
}

#[test]
fn a_widened_reservoir_fits_in_a_table_and_labels_stay_with_their_rows() {
    let rows = Array2::from_shape_fn((1000, 2), |(row, _)| row as f64);
    let labels: Vec<Label> = (0..1000).map(|row| Some(row % 2 == 1)).collect();
    let mut reservoir = Reservoir::new(1000, 2, 5);
    reservoir.offer(rows.view(), Some(&labels)).expect("fits");
    // one engineered value stays after the new features
    let wide = reservoir.widened(1, 65_534, Vocabulary::default());
    assert_eq!(wide.n_rows(), MAX_CELLS / 65_536);
    assert_eq!(wide.seen(), 1000);
    assert!(wide.validate_rows(65_536).is_ok());
    let held = wide.rows().expect("sound");
    for (row, label) in held
        .rows()
        .into_iter()
        .zip(wide.labels().expect("has labels"))
    {
        assert!(row[0] == row[65_535] && row[1].is_nan());
        assert_eq!(label, Some(row[0] as usize % 2 == 1));
    }
}

#[test]
fn a_rare_class_is_not_lost() {
    let rows = Array2::from_shape_fn((5000, 1), |(row, _)| row as f64);
    let labels: Vec<Label> = (0..5000).map(|row| Some(row % 1000 == 7)).collect();
    let mut reservoir = Reservoir::by_class(100, 1, 3);
    reservoir.offer(rows.view(), Some(&labels)).expect("fits");
    assert_eq!((reservoir.seen(), reservoir.n_rows()), (5000, 55));
    assert_eq!(reservoir.seen_by_class(), Some([4995, 5]));
    let held = reservoir.labels().expect("has labels");
    assert_eq!(held.iter().filter(|label| **label == Some(true)).count(), 5);
    for (row, label) in reservoir
        .rows()
        .expect("sound")
        .rows()
        .into_iter()
        .zip(held)
    {
        assert_eq!(label, Some(row[0] as usize % 1000 == 7));
    }
    let total: f64 = reservoir.weights().iter().sum();
    assert!((total - 5000.0).abs() < 1e-9);
    assert!(reservoir.validate_rows(1).is_ok());
}

#[test]
fn rows_of_another_width_and_labels_of_another_number_are_refused() {
    let mut reservoir = Reservoir::new(10, 2, 0);
    for rows in [Array2::zeros((3, 1)), Array2::zeros((3, 3))] {
        let error = reservoir
            .offer(rows.view(), None)
            .expect_err("another width");
        assert_eq!(error.reason(), reason::SCHEMA_MISMATCH);
    }
    let rows = Array2::zeros((3, 2));
    let error = reservoir
        .offer(rows.view(), Some(&[None]))
        .expect_err("one label");
    assert_eq!(error.reason(), reason::SCHEMA_MISMATCH);
    assert_eq!(reservoir, Reservoir::new(10, 2, 0));
}

#[test]
fn a_stored_capacity_is_limited_as_a_new_one() {
    for capacity in [0, MAX_CELLS / 2 + 1, usize::MAX] {
        let stored = Reservoir {
            capacity,
            ..Reservoir::new(10, 2, 0)
        };
        let error = stored.validate_rows(2).expect_err("no such capacity");
        assert_eq!(error.reason(), reason::DAMAGED_ARTIFACT, "{capacity}");
    }
    assert!(Reservoir::new(usize::MAX, 2, 0).validate_rows(2).is_ok());
    assert!(Reservoir::by_class(1, 2, 0).validate_rows(2).is_ok());
}
