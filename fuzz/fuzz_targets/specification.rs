#![no_main]
use cure_attacks::AttackSpec;
use cure_data::DataSpec;
use cure_network::{Architecture, Normalization};
use cure_training::{LearningRate, Objective, ValueSchedule};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(spec) = text.parse::<AttackSpec>() {
        let _ = spec.check(Some(3072), Some(10));
        let again: AttackSpec = spec.to_string().parse().expect("what it writes, it reads");
        assert_eq!(again.to_string(), spec.to_string());
    }
    if let Ok(objective) = text.parse::<Objective>() {
        let _ = objective.check(Some(3072));
    }
    let _ = text.parse::<DataSpec>();
    let _ = text.parse::<ValueSchedule>();
    let _ = text.parse::<LearningRate>();
    let _ = Architecture::named(text, 10, [3, 32, 32]);
    let _ = Normalization::parse(text, 3);
});
