use super::*;

#[test]
fn every_row_is_in_a_sample_with_the_same_probability_update_after_update() {
    let mut reservoirs = Reservoirs::new(4000, 20, 7);
    let mut held = vec![vec![usize::MAX; 20]; 4000];
    let mut seen = 0;
    for part in [3, 14, 3, 1, 29, 150] {
        let groups: Vec<_> = held.chunks_mut(8).collect();
        reservoirs
            .offer(part, groups, &Context::new(), |group, lane, arrivals| {
                let new = group[lane].iter_mut().zip(arrivals);
                new.filter(|(_, row)| **row != Reservoirs::KEPT)
                    .for_each(|(place, row)| *place = seen + row);
                Ok(())
            })
            .expect("goes on");
        seen += part;
    }
    let mut counts = [0_u32; 200];
    for rows in &mut held {
        rows.sort_unstable();
        assert!(rows.is_sorted_by(|a, b| a < b), "a row twice: {rows:?}");
        rows.iter().for_each(|&row| counts[row] += 1);
    }
    // each count is binomial(4000, 0.1): mean 400, standard deviation 19
    assert!(
        counts.iter().all(|count| (310..=490).contains(count)),
        "{counts:?}"
    );
    // and no pair of rows is together more often than others: hypergeometric, expected 4000 * 20 * 19 / (200 * 199) = 38
    for (a, b) in [(0, 1), (0, 19), (19, 20), (20, 21), (50, 199), (198, 199)] {
        let both = held
            .iter()
            .filter(|rows| rows.contains(&a) && rows.contains(&b))
            .count();
        assert!((8..=72).contains(&both), "{a} {b}: {both}");
    }
}
