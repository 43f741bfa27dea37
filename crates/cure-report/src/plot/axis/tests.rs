use super::*;

fn labels(axis: &Axis) -> Vec<String> {
    let Some(step) = axis.step else { return Vec::new() };
    let first = (axis.range.0 / step).ceil() as i64;
    let last = (axis.range.1 / step).floor() as i64;
    (first..=last).map(|i| axis.format.format(i as f64 * step)).collect()
}

#[test]
fn ticks_as_asked_for() {
    let axis = |step| {
        let values = (0..=16).map(f64::from);
        Axis::fit(values, Scale::Linear, Unit::Number, None).with_step(step)
    };
    assert_eq!(labels(&axis(Some(4.0))), ["0", "4", "8", "12", "16"]);
    for unusable in [None, Some(0.0), Some(-1.0), Some(f64::NAN), Some(1e-9)] {
        assert_eq!(labels(&axis(unusable)), ["0", "5", "10", "15"]);
    }
}

fn linear(values: &[f64]) -> Vec<String> {
    labels(&Axis::fit(values.iter().copied(), Scale::Linear, Unit::Number, None))
}

#[test]
fn ticks_read_as_a_person_would_write_them() {
    assert_eq!(linear(&[0.0, 1.0, 3.0]), ["0", "1", "2", "3"]);
    assert_eq!(linear(&[0.1, 0.5]), ["0.1", "0.2", "0.3", "0.4", "0.5"]);
    assert_eq!(linear(&[0.9991, 0.9994])[..3], ["0.99910", "0.99915", "0.99920"]);
    assert_eq!(linear(&[0.0, 2e-5]), ["0", "5e-6", "1e-5", "1.5e-5", "2e-5"]);
    assert_eq!(linear(&[-2e6, 2e6]), ["-2e6", "-1e6", "0", "1e6", "2e6"]);
    let percent = Axis::fit([0.0, 1.0].into_iter(), Scale::Linear, Unit::Percent, None);
    assert_eq!(labels(&percent), ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]);
    let wide = Axis::fit([1e-14, 1.0].into_iter(), Scale::Log, Unit::Number, None);
    assert_eq!(labels(&wide), ["1e-12", "1e-9", "1e-6", "0.001", "1"]);
}

#[test]
fn every_axis_has_room_and_few_ticks() {
    let sets: [&[f64]; 9] = [
        &[],
        &[0.0],
        &[7.0],
        &[f64::NAN, f64::INFINITY],
        &[1.0, 1.0 + 1e-16],
        &[-1e150, 1e150],
        &[5e-324],
        &[1e-300, 2e-300],
        &[1e9, 1e9 + 1.0],
    ];
    for set in sets {
        for scale in [Scale::Linear, Scale::Log, Scale::SignedLog { decade: -3 }] {
            for unit in [Unit::Number, Unit::Percent] {
                let axis = Axis::fit(set.iter().copied(), scale, unit, None);
                let (low, high) = axis.range;
                assert!(low < high && low.is_finite() && high.is_finite(), "{set:?}");
                assert!(labels(&axis).len() < 15, "{set:?} {:?}", labels(&axis));
            }
        }
    }
}

#[test]
fn a_signed_logarithmic_axis_has_powers_of_ten_on_both_sides_of_zero() {
    let axis = |values: &[f64], decade| {
        let scale = Scale::SignedLog { decade };
        Axis::fit(values.iter().copied(), scale, Unit::Number, None)
    };
    assert_eq!(labels(&axis(&[-10.0, 40.0], -1)), ["-10", "-1", "-0.1", "0", "0.1", "1", "10"]);
    assert_eq!(labels(&axis(&[-1.0, 40.0], 0)), ["-1", "0", "1", "10"]);
    assert_eq!(labels(&axis(&[2.0, 3.0], 0)), ["1", "10"]);
    assert_eq!(
        labels(&axis(&[-1e6, 1e6], 0)),
        ["-100000", "-1000", "-10", "0", "10", "1000", "100000"]
    );
    // Within ± 10^decade it is an ordinary axis.
    assert_eq!(labels(&axis(&[0.0, 1.0, 3.0], 1)), ["0", "1", "2", "3"]);
    let axis = axis(&[-1e3, 1e3], 0);
    assert_eq!((axis.place(0.0), axis.place(1.0), axis.place(-100.0)), (0.0, 1.0, -3.0));
    assert_eq!(axis.place_within(-1e9), axis.range.0);
}

#[test]
fn an_error_bar_ends_at_the_axis() {
    let axis = Axis::fit([0.1, 10.0].into_iter(), Scale::Log, Unit::Number, None);
    assert_eq!(axis.place_within(0.0), axis.range.0);
    assert_eq!(axis.place_within(-3.0), axis.range.0);
    assert_eq!(axis.place_within(1.0), 1.0);
    assert_eq!(axis.place_within(1e9), axis.range.1);
}
