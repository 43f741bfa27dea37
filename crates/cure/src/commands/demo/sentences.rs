//! What may be said of the numbers: every sentence here follows from them, whatever they are.

use crate::measured::{Change, Measured};

/// The numbers of the summary; of three, they are the original's, the control's and CURE's.
pub(super) struct Facts {
    pub(super) trained_on: usize,
    pub(super) tested_on: usize,
    pub(super) epochs: usize,
    /// The attack, as `PGD-20`.
    pub(super) attack: &'static str,
    pub(super) epsilon: f64,
    pub(super) clean: [Measured; 3],
    pub(super) robust: [Measured; 3],
    /// The mean regulariser on the test images.
    pub(super) regularizer: [f64; 3],
}

impl Facts {
    /// The story in three sentences.
    pub(super) fn summary(&self) -> [String; 3] {
        [self.falls(), self.stands(), self.reason()]
    }

    fn falls(&self) -> String {
        let Self { trained_on, tested_on, attack, epsilon, clean, robust, .. } = self;
        let joint = match robust[0].against(clean[0]) {
            Change::Lower => "but only",
            _ => "and still",
        };
        format!(
            "A small network trained on {trained_on} images of handwritten digits classifies {} of \
             {tested_on} test images correctly, {joint} {} once {attack} may change every pixel by \
             up to ε = {epsilon}.",
            clean[0].percent(),
            robust[0].percent(),
        )
    }

    fn stands(&self) -> String {
        let Self { tested_on, epochs, clean, robust, .. } = self;
        let [before, _, after] = robust.map(Measured::percent);
        let clean = match [clean[0].percent(), clean[2].percent()] {
            [before, after] if before == after => format!("clean accuracy stays at {after}"),
            [before, after] => format!("clean accuracy goes from {before} to {after}"),
        };
        match robust[2].against(robust[0]) {
            Change::Higher => format!(
                "After {epochs} epochs of fine-tuning with CURE {after} stand under the same \
                 attack; {clean}."
            ),
            Change::Unclear => format!(
                "Fine-tuning with CURE for {epochs} epochs made no difference that {tested_on} \
                 images could show: {after} stand under the same attack, {before} before; {clean}."
            ),
            Change::Lower => format!(
                "Fine-tuning with CURE for {epochs} epochs did harm: {after} stand under the same \
                 attack, {before} before; {clean}."
            ),
        }
    }

    fn reason(&self) -> String {
        let [before, control, after] = self.robust;
        let judgement = match (after.against(control), after.against(before)) {
            (Change::Higher, Change::Higher) => "so the gain is the regulariser's",
            (Change::Higher, _) => "less than with it",
            (Change::Lower, _) => "more than with it",
            (Change::Unclear, _) => "too close to tell them apart",
        };
        let [before, _, after] = self.regularizer;
        let curvature = match before / after {
            factor if factor > 1.0 && factor.is_finite() => {
                format!("fell from {before:.2} to {after:.2}, by the factor {factor:.1}")
            }
            factor if factor < 1.0 && factor > 0.0 => {
                format!("rose from {before:.2} to {after:.2}, by the factor {:.1}", 1.0 / factor)
            }
            _ => format!("was {before:.2} and is {after:.2}"),
        };
        format!(
            "The same fine-tuning without the regulariser ends at {}, {judgement}; the mean \
             regulariser on the test images, which measures curvature, {curvature}.",
            control.percent(),
        )
    }
}

/// Robust accuracies of one network at one ε: its name, ε, FGSM's, PGD's.
pub(super) struct Pair {
    pub(super) name: &'static str,
    pub(super) epsilon: f64,
    pub(super) fgsm: usize,
    pub(super) pgd: usize,
}

/// Whether the attacks behave as attacks should.
pub(super) fn sanity(pairs: &[Pair], last: (f64, usize), tested_on: usize) -> String {
    let odd: Vec<String> = pairs
        .iter()
        .filter(|pair| pair.fgsm < pair.pgd)
        .map(|pair| format!("{} at ε = {}", pair.name, pair.epsilon))
        .collect();
    let steps = match odd.len() {
        0 => "PGD leaves no more images standing than FGSM does, for every network and ε where \
              both ran, as many steps should"
            .to_owned(),
        _ => format!(
            "PGD leaves more images standing than FGSM does ({}), a sign that gradients are \
             masked: do not trust these numbers",
            odd.join(", ")
        ),
    };
    let (epsilon, standing) = last;
    let most = standing as f64 / tested_on.max(1) as f64;
    // A twentieth: what a wrong label here and there, or a saturated pixel, could explain.
    let large = match most {
        most if most <= 0.05 => format!(
            "at ε = {epsilon} at most {standing} of {tested_on} images stand, so the attack is \
             able to follow its gradients"
        ),
        _ => format!(
            "at ε = {epsilon} still {standing} of {tested_on} images stand, where hardly any \
             should: the attack may be too weak for these networks"
        ),
    };
    format!("{steps}; {large}.")
}

#[cfg(test)]
mod tests {
    use cure_attacks::wilson95;

    use super::*;

    fn share(correct: usize) -> Measured {
        Measured { value: correct as f64 / 360.0, ci95: wilson95(correct, 360), n: 360 }
    }

    fn summary(robust: [usize; 3], regularizer: [f64; 3]) -> [String; 3] {
        let (clean, robust) = ([328, 327, 319].map(share), robust.map(share));
        let (trained_on, tested_on, epochs) = (1200, 360, 30);
        let (attack, epsilon) = ("PGD-20", 0.15);
        let facts =
            Facts { trained_on, tested_on, epochs, attack, epsilon, clean, robust, regularizer };
        facts.summary()
    }

    #[test]
    fn a_clear_gain_is_said() {
        let [falls, stands, reason] = summary([80, 82, 179], [2.0, 3.0, 0.5]);
        assert!(falls.contains("91.1 % of 360 test images correctly, but only 22.2 %"), "{falls}");
        assert!(stands.contains("with CURE 49.7 % stand"), "{stands}");
        assert!(stands.contains("from 91.1 % to 88.6 %"), "{stands}");
        assert!(reason.contains("ends at 22.8 %, so the gain is the regulariser's"), "{reason}");
        assert!(reason.contains("fell from 2.00 to 0.50, by the factor 4.0"), "{reason}");
    }

    #[test]
    fn no_gain_is_said_too() {
        let [_, stands, reason] = summary([80, 82, 85], [0.5, 3.0, 2.0]);
        assert!(stands.contains("no difference that 360 images could show"), "{stands}");
        assert!(reason.contains("too close to tell them apart"), "{reason}");
        assert!(reason.contains("rose from 0.50 to 2.00, by the factor 4.0"), "{reason}");
        let [falls, stands, reason] = summary([320, 320, 80], [0.0, 0.0, 0.0]);
        assert!(falls.contains("correctly, and still 88.9 %"), "{falls}");
        assert!(stands.contains("did harm: 22.2 % stand"), "{stands}");
        assert!(reason.contains("ends at 88.9 %, more than with it"), "{reason}");
        assert!(reason.contains("was 0.00 and is 0.00"), "{reason}");
        // Better than the control, which fell, but not than before.
        let [_, _, reason] = summary([180, 80, 179], [1.0, 1.0, 1.0]);
        assert!(reason.contains("less than with it"), "{reason}");
    }

    #[test]
    fn attacks_that_misbehave_are_named() {
        let pair = |fgsm, pgd| Pair { name: "original", epsilon: 0.1, fgsm, pgd };
        let fine = sanity(&[pair(200, 172), pair(5, 5)], (0.3, 3), 360);
        assert!(fine.contains("no more images standing") && fine.contains("at most 3 of 360"));
        let odd = sanity(&[pair(100, 172)], (0.3, 100), 360);
        assert!(odd.contains("original at ε = 0.1") && odd.contains("masked"), "{odd}");
        assert!(odd.contains("still 100 of 360") && odd.contains("too weak"), "{odd}");
    }
}
