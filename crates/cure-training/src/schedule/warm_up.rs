use crate::error::{Result, TrainingError};

/// The share of its schedule that the learning rate has in a warm-up of `over` epochs (Goyal et
/// al. 2017), for a step that begins at `time` and takes `step`, both in epochs. It rises by equal
/// amounts, step by step: 1/n in the first of n steps, 1 in the last and after it. The schedule
/// itself runs on as without it.
pub(super) fn warm_up(time: f64, step: f64, over: f64) -> f64 {
    if over > 0.0 { ((time + step) / over).min(1.0) } else { 1.0 }
}

/// Whether `over` is a length within a run of so many epochs.
pub(super) fn check_warm_up(over: f64, epochs: usize) -> Result<()> {
    match (0.0..=epochs as f64).contains(&over) {
        true => Ok(()),
        false => {
            let accepted = format!("0 to {epochs}, the run's epochs");
            Err(TrainingError::setting("warm_up", over, accepted))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_by_hand() {
        // Four steps an epoch, a warm-up of one and a half epochs: six steps.
        let found: Vec<f64> = (0..8).map(|step| warm_up(step as f64 / 4.0, 0.25, 1.5)).collect();
        for (found, expected) in found.iter().zip([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 6.0, 6.0]) {
            assert!((found - expected / 6.0).abs() < 1e-15, "{found} is not {expected}/6");
        }
        assert_eq!(warm_up(0.0, 0.1, 0.0), 1.0);
        for over in [-0.5, 3.1, f64::NAN, f64::INFINITY] {
            assert!(check_warm_up(over, 3).is_err());
        }
        assert!(check_warm_up(3.0, 3).is_ok());
    }
}
