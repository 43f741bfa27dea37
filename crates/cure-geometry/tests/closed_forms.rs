//! Every measurement on operators whose spectrum is known.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{Quadratic, dot, norm, random};
use cure_geometry::{
    Density, DensityOptions, FrobeniusOptions, GeometryError, Hessian, LanczosOptions,
    QuadraticModel, TheoremOne, alignment, curvature_profile, density, extremes, frobenius,
    nearest,
};

const GO: fn(usize, usize) -> bool = |_, _| true;

/// Both signs, two of them close, one twice, and the largest magnitude below zero.
fn eigenvalues() -> Vec<f64> {
    let mut values = vec![9.0, 5.0, 4.9, 3.0, 3.0, -2.0, -12.0];
    values.extend((0..53).map(|i| 0.02 * f64::from(i - 26)));
    values
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(|a, b| b.total_cmp(a));
    values
}

#[test]
fn a_profile_is_the_spectrum() {
    let mut hessian = Quadratic::new(&eigenvalues(), 1);
    let expected = sorted(eigenvalues());
    let length = norm(&expected);
    let profile = curvature_profile(&mut hessian, &[0], GO).unwrap().remove(0).unwrap();
    for (found, expected) in profile.eigenvalues.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-10, "{found} {expected}");
    }
    assert!(profile.asymmetry < 1e-12 && (profile.frobenius / length - 1.0).abs() < 1e-12);

    // An antisymmetric part is taken out, and told of: ‖A‖² = 2·twist²·d.
    hessian.twist = 0.5;
    let twisted = curvature_profile(&mut hessian, &[0], GO).unwrap().remove(0).unwrap();
    for (found, expected) in twisted.eigenvalues.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-10, "{found} {expected}");
    }
    let square = 2.0 * 0.25 * expected.len() as f64;
    let asymmetry = 2.0 * square.sqrt() / (length * length + square).sqrt();
    assert!((twisted.asymmetry / asymmetry - 1.0).abs() < 1e-10, "{}", twisted.asymmetry);
}

#[test]
fn the_ends_of_the_spectrum_are_found() {
    let mut hessian = Quadratic::new(&eigenvalues(), 2);
    hessian.samples = 3;
    let options = LanczosOptions { largest: 5, smallest: 3, tolerance: 1e-9, ..Default::default() };
    let found = extremes(&mut hessian, &[2, 0], &[17, 4], &options, GO).unwrap();
    let spectrum = sorted(eigenvalues());
    for found in found {
        let found = found.unwrap();
        assert!(found.has_converged && found.asymmetry < 1e-12);
        let largest: Vec<f64> = found.largest.iter().map(|pair| pair.value).collect();
        let smallest: Vec<f64> = found.smallest.iter().map(|pair| pair.value).collect();
        for (found, expected) in largest.iter().zip(&spectrum) {
            assert!((found - expected).abs() < 1e-7, "{largest:?}");
        }
        for (found, expected) in smallest.iter().zip(spectrum.iter().rev()) {
            assert!((found - expected).abs() < 1e-7, "{smallest:?}");
        }
        // The largest is not that of the largest magnitude.
        assert!((smallest[0] + 12.0).abs() < 1e-7 && smallest[0].abs() > largest[0] + 1.0);
        for pair in found.largest.iter().chain(&found.smallest) {
            assert!((norm(&pair.vector) - 1.0).abs() < 1e-9 && pair.residual < 1e-6);
            let product = hessian.apply(&[0], std::slice::from_ref(&pair.vector)).unwrap();
            assert!((dot(&product[0], &pair.vector) - pair.value).abs() < 1e-7);
        }
    }
}

/// Of an operator that is not symmetric the eigenvalues are those of its symmetric part; the search ends
/// though no vector has a small residual, and does not claim to have converged.
#[test]
fn a_twisted_operator() {
    let mut hessian = Quadratic::new(&eigenvalues(), 2);
    hessian.twist = 0.05;
    let options = LanczosOptions { largest: 2, smallest: 1, tolerance: 1e-5, ..Default::default() };
    let found = extremes(&mut hessian, &[0], &[3], &options, GO).unwrap().remove(0).unwrap();
    assert!(!found.has_converged && found.steps < 60 && found.asymmetry > 0.01, "{}", found.steps);
    for (pair, expected) in found.largest.iter().chain(&found.smallest).zip([9.0, 5.0, -12.0]) {
        assert!((pair.value - expected).abs() < 1e-3, "{} {expected}", pair.value);
        let product = hessian.apply(&[0], std::slice::from_ref(&pair.vector)).unwrap();
        let quotient = dot(&product[0], &pair.vector);
        assert!((quotient - expected).abs() < 1e-3 && pair.residual > 0.01, "{pair:?}");
    }
}

/// A space that H closes early is gone on from, so that zeros are found as well; and all d are.
#[test]
fn low_rank_and_whole_spectra() {
    let mut few = vec![0.0; 30];
    few[..3].copy_from_slice(&[4.0, 2.0, 1.0]);
    let mut hessian = Quadratic::new(&few, 3);
    let options = LanczosOptions { largest: 6, ..Default::default() };
    let found = extremes(&mut hessian, &[0], &[0], &options, GO).unwrap().remove(0).unwrap();
    let values: Vec<f64> = found.largest.iter().map(|pair| pair.value).collect();
    for (found, expected) in values.iter().zip([4.0, 2.0, 1.0, 0.0, 0.0, 0.0]) {
        assert!((found - expected).abs() < 1e-8, "{values:?}");
    }
    assert!(found.steps < 16, "{}", found.steps);

    // From the other end all are 0, though a single vector meets that eigenvalue once.
    let options = LanczosOptions { largest: 2, smallest: 5, ..Default::default() };
    let found = extremes(&mut hessian, &[0], &[0], &options, GO).unwrap().remove(0).unwrap();
    assert!(found.has_converged && found.steps < 16, "{}", found.steps);
    for pair in &found.smallest {
        assert!(pair.value.abs() < 1e-8 && pair.residual < 1e-8, "{}", pair.value);
    }

    let spectrum = eigenvalues();
    let mut hessian = Quadratic::new(&spectrum, 4);
    let size = spectrum.len();
    let all = LanczosOptions { largest: size, smallest: size, steps: size, ..Default::default() };
    let found = extremes(&mut hessian, &[0], &[0], &all, GO);
    // Both ends together are more than there are, each alone is not.
    let found = found.unwrap().remove(0).unwrap();
    for (pair, expected) in found.largest.iter().zip(sorted(spectrum)) {
        assert!((pair.value - expected).abs() < 1e-8, "{} {expected}", pair.value);
    }
    assert_eq!(found.largest.len(), size);
}

#[test]
fn a_density_has_the_moments_of_the_spectrum() {
    let spectrum = eigenvalues();
    let size = spectrum.len() as f64;
    let mut hessian = Quadratic::new(&spectrum, 5);
    hessian.samples = 200;
    let rows: Vec<usize> = (0..200).collect();
    let options = DensityOptions { probes: 1, steps: 12, seed: 3 };
    let parts = density(&mut hessian, &rows, &rows, &options, GO).unwrap();
    let parts: Vec<Density> = parts.into_iter().flatten().collect();
    let whole = Density::together(&parts);
    assert!((whole.weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    let powers: [fn(f64) -> f64; 3] = [|x| x, |x| x * x, |x| x.powi(3)];
    for power in powers {
        let expected = spectrum.iter().map(|&value| power(value)).sum::<f64>() / size;
        let values: Vec<f64> = parts.iter().map(|part| part.mean(power)).collect();
        let mean = values.iter().sum::<f64>() / 200.0;
        let deviation =
            (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 199.0 / 200.0).sqrt();
        assert!((mean - expected).abs() < 4.0 * deviation, "{mean} {expected} ± {deviation}");
        assert!((whole.mean(power) - mean).abs() < 1e-9);
    }
    // What is spread is still all there.
    let step = 0.05;
    let all: f64 = (-800..800).map(|i| step * whole.at(step * f64::from(i), 0.5)).sum();
    assert!((all - 1.0).abs() < 1e-6, "{all}");

    let mut twice = Quadratic::new(&[2.0; 8], 6);
    let one = density(&mut twice, &[0], &[0], &options, GO).unwrap().remove(0).unwrap();
    assert_eq!(one.nodes.len(), 1);
    assert!((one.nodes[0] - 2.0).abs() < 1e-12 && (one.weights[0] - 1.0).abs() < 1e-12);
}

#[test]
fn the_norm_is_within_its_interval() {
    let spectrum = eigenvalues();
    let expected = norm(&spectrum);
    let mut hessian = Quadratic::new(&spectrum, 7);
    hessian.samples = 100;
    let rows: Vec<usize> = (0..100).collect();
    let gradients: Vec<Vec<f64>> = (0..100).map(|i| random(i, spectrum.len())).collect();
    let mut widths = Vec::new();
    for deflated in [false, true] {
        let options = FrobeniusOptions { draws: 30, deflated, seed: 1 };
        let found = frobenius(&mut hessian, &rows, &rows, &gradients, &options, GO).unwrap();
        let found: Vec<_> = found.into_iter().flatten().collect();
        let holds = |f: &&cure_geometry::Frobenius| f.ci95[0] <= expected && expected <= f.ci95[1];
        let held = found.iter().filter(holds).count();
        // Intervals of 95 % that are twice too wide would hold in all.
        assert!((85..100).contains(&held), "{deflated}: {held} of 100");
        let width: f64 = found.iter().map(|f| f.ci95[1] - f.ci95[0]).sum();
        widths.push(width);
        for (found, g) in found.iter().zip(&gradients) {
            let signs: Vec<f64> =
                g.iter().map(|value| value.signum() / (g.len() as f64).sqrt()).collect();
            let product = hessian.apply(&[0], &[signs]).unwrap().remove(0);
            assert!((found.gradient_sign.unwrap() / norm(&product) - 1.0).abs() < 1e-12);
        }
    }
    // Seven eigenvalues make all the norm: deflation pays.
    assert!(widths[1] < 0.1 * widths[0], "{widths:?}");
}

#[test]
fn theorem_one_is_exact_along_the_top_eigenvector() {
    let spectrum = eigenvalues();
    let mut hessian = Quadratic::new(&spectrum, 8);
    let gradient: Vec<f64> = hessian.vectors[0].iter().map(|q| 0.7 * q).collect();
    let c = 0.4;
    let exact = 0.7 / 9.0 * ((1.0f64 + 2.0 * 9.0 * c / 0.49).sqrt() - 1.0);
    let found = extremes(&mut hessian, &[0], &[0], &LanczosOptions::default(), GO);
    let found = found.unwrap().remove(0).unwrap();
    let aligned = alignment(&gradient, &found).unwrap();
    assert!((aligned.alignment - 1.0).abs() < 1e-6 && (aligned.largest - 9.0).abs() < 1e-6);
    let bounds =
        TheoremOne::new(c, aligned.gradient, aligned.alignment * aligned.gradient, aligned.largest);
    let model = QuadraticModel::of(&mut hessian, &[0], &[gradient], 40).unwrap().remove(0).unwrap();
    for found in [bounds.lower, bounds.upper, model.nearest(c, 9.0).unwrap()] {
        assert!((found / exact - 1.0).abs() < 1e-6, "{found} {exact}");
    }
    assert!(bounds.simple_lower <= bounds.lower && bounds.upper <= bounds.simple_upper);
    assert_eq!(alignment(&[0.0; 60], &found), None);
}

/// For any gradient the quadratic model's exact minimum lies between the bounds.
#[test]
fn the_model_lies_between_the_bounds() {
    for seed in 0..50 {
        let spectrum: Vec<f64> = random(seed, 12).iter().map(|v| 4.0 * v).collect();
        let nu = spectrum.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut hessian = Quadratic::new(&spectrum, 20 + seed);
        let g = random(500 + seed, 12);
        let c = 0.05 + 0.1 * seed as f64;
        let top = spectrum.iter().position(|&value| value == nu).unwrap();
        let along = dot(&g, &hessian.vectors[top]).abs();
        let bounds = TheoremOne::new(c, norm(&g), along, nu);
        let model = QuadraticModel::of(&mut hessian, &[0], std::slice::from_ref(&g), 12).unwrap();
        let length = model[0].as_ref().unwrap().nearest(c, nu).unwrap();
        assert!(bounds.lower <= length * (1.0 + 1e-9), "{seed}: {bounds:?} {length}");
        assert!(length <= bounds.upper * (1.0 + 1e-9), "{seed}: {bounds:?} {length}");
        assert!(bounds.simple_lower <= bounds.lower && bounds.upper <= bounds.simple_upper);
        // The same from the whole spectrum.
        let parts: Vec<f64> = hessian.vectors.iter().map(|q| dot(q, &g)).collect();
        let whole = nearest(&spectrum, &parts, c).unwrap();
        assert!((length / whole - 1.0).abs() < 1e-7, "{seed}: {length} {whole}");
    }
}

/// As ν → 0 the bounds tend to c/‖g‖ and c/|gᵀu|, to the last digits.
#[test]
fn bounds_do_not_cancel() {
    for nu in [0.0, 1e-300, 1e-30, 1e-16, 1e-12] {
        let bounds = TheoremOne::new(0.3, 2.0, 0.5, nu);
        for (found, limit) in [(bounds.lower, 0.15), (bounds.upper, 0.6)] {
            assert!((found / limit - 1.0).abs() < 1e-11, "{nu}: {found}");
        }
    }
    // No part along u: the upper bound alone needs curvature, and the simple one says nothing.
    let bounds = TheoremOne::new(0.3, 2.0, 0.0, 1.5);
    assert!((bounds.upper - (0.6f64 / 1.5).sqrt()).abs() < 1e-12);
    assert_eq!(bounds.simple_upper, f64::INFINITY);
    assert_eq!(TheoremOne::new(0.0, 2.0, 0.0, 0.0).upper, 0.0);
}

#[test]
fn what_is_not_finite_is_none() {
    let mut broken = Quadratic::new(&[1.0, f64::NAN, 2.0], 9);
    let gradients = vec![vec![1.0, -1.0, 0.5]];
    assert_eq!(curvature_profile(&mut broken, &[0], GO).unwrap(), [None]);
    assert_eq!(extremes(&mut broken, &[0], &[0], &LanczosOptions::default(), GO).unwrap(), [None]);
    assert_eq!(density(&mut broken, &[0], &[0], &DensityOptions::default(), GO).unwrap(), [None]);
    let found =
        frobenius(&mut broken, &[0], &[0], &gradients, &FrobeniusOptions::default(), GO).unwrap();
    assert_eq!(found, [None]);
    assert_eq!(QuadraticModel::of(&mut broken, &[0], &gradients, 9).unwrap(), [None]);
    let still = QuadraticModel::of(&mut Quadratic::new(&[1.0; 3], 9), &[0], &[vec![0.0; 3]], 9);
    assert_eq!(still.unwrap(), [None]);
}

#[test]
fn what_cannot_be_asked_for() {
    let mut hessian = Quadratic::new(&[1.0, 2.0, 3.0], 10);
    let mut refusal = |options: LanczosOptions| {
        let error = extremes(&mut hessian, &[0], &[0], &options, GO).unwrap_err();
        assert!(matches!(error, GeometryError::Setting { .. }), "{error}");
        error.to_string()
    };
    let default = LanczosOptions::default();
    assert!(refusal(LanczosOptions { largest: 4, ..default }).contains("at most 3"));
    assert!(refusal(LanczosOptions { largest: 0, ..default }).contains("1 or more"));
    assert!(refusal(LanczosOptions { largest: 2, steps: 1, ..default }).contains("at least"));
    for tolerance in [f64::NAN, f64::INFINITY, -1.0] {
        assert!(refusal(LanczosOptions { tolerance, ..default }).contains("0 to 1"));
    }
    for draws in [1, usize::MAX] {
        let draws = FrobeniusOptions { draws, ..Default::default() };
        assert!(frobenius(&mut hessian, &[0], &[0], &[vec![0.0; 3]], &draws, GO).is_err());
    }
    let steps = DensityOptions { steps: 0, ..Default::default() };
    assert!(density(&mut hessian, &[0], &[0], &steps, GO).is_err());
    let stopped = curvature_profile(&mut hessian, &[0], |_, _| false);
    assert!(matches!(stopped, Err(GeometryError::Stopped)));
}
