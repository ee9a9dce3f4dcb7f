use proptest::prelude::*;

use super::*;

/// The results of every operation on singles.
fn singles<S: Simd>(simd: S, a: &F32x8, b: &F32x8, c: &F32x8) -> Vec<[u32; 8]> {
    let (a, b, c) = (simd.load(a), simd.load(b), simd.load(c));
    let results = [
        simd.add(a, b),
        simd.sub(a, b),
        simd.mul(a, b),
        simd.mul_add(a, b, c),
        simd.abs(a),
        simd.min(a, b),
        simd.max(a, b),
        simd.add_exponents(a, b),
        simd.splat(-0.3),
    ];
    let bits = |v| {
        let mut values = [0.0; 8];
        simd.store(v, &mut values);
        values.map(f32::to_bits)
    };
    results.map(bits).to_vec()
}

/// The results of every operation on doubles.
fn doubles<S: Simd>(simd: S, singles: &F32x8, a: &F64x4, b: &F64x4) -> Vec<[u64; 4]> {
    let [low, high] = simd.widen(simd.load(singles));
    let (a, b) = (simd.load_f64(a), simd.load_f64(b));
    let results = [
        low,
        high,
        simd.add_f64(a, b),
        simd.mul_f64(a, b),
        simd.mul_add_f64(a, b, high),
        simd.splat_f64(-0.3),
    ];
    let bits = |v| {
        let mut values = [0.0; 4];
        simd.store_f64(v, &mut values);
        values.map(f64::to_bits)
    };
    results.map(bits).to_vec()
}

proptest! {
    #[test]
    fn operations_agree_on_every_processor(
        a: [f32; 8], b: [f32; 8], c: [f32; 8], x: [f64; 4], y: [f64; 4],
    ) {
        let expected = singles(Portable, &a, &b, &c);
        let found = with_simd!(simd => singles(simd, &a, &b, &c));
        prop_assert_eq!(found, expected);
        let expected = doubles(Portable, &a, &x, &y);
        let found = with_simd!(simd => doubles(simd, &a, &x, &y));
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn the_second_operand_stands_in_for_nan() {
    fn results<S: Simd>(simd: S) -> [F32x8; 4] {
        let (nan, one) = (simd.splat(f32::NAN), simd.splat(1.0));
        let results = [
            simd.min(nan, one),
            simd.max(nan, one),
            simd.min(one, nan),
            simd.max(one, nan),
        ];
        results.map(|v| {
            let mut values = [0.0; 8];
            simd.store(v, &mut values);
            values
        })
    }
    for found in [results(Portable), with_simd!(simd => results(simd))] {
        assert_eq!(found[..2], [[1.0; 8]; 2]);
        assert!(found[2..].iter().flatten().all(|x| x.is_nan()));
    }
}
