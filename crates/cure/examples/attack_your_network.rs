//! Attacks on a network of your own, of which two functions are known: its logits and its pullback.
#![allow(clippy::print_stdout)]
use cure::attacks::{EvaluationOptions, EvaluationSet, Silent, evaluate};
use cure::network::Functions;
use cure::tensor::Tensor;

/// +1 in the left half of a row of four pixels, −1 in the right one.
fn side(pixel: usize) -> f32 {
    if pixel % 4 < 2 { 1.0 } else { -1.0 }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Which half of a 4×4 image is the brighter one? Logits (s, −s).
    let network = Functions {
        classes: 2,
        input: [1, 4, 4],
        logits: |x: &[f32]| {
            let s: f32 = x.iter().enumerate().map(|(pixel, value)| side(pixel) * value).sum();
            vec![s, -s]
        },
        pullback: |_: &[f32], u: &[f32]| (0..16).map(|i| side(i) * (u[0] - u[1])).collect(),
    };
    // Images whose left half is brighter by 0.01, 0.02, … 0.2 a pixel.
    let pixels = |image: usize| (0..16).map(move |i| 0.5 + side(i) * 0.005 * (image + 1) as f32);
    let images = Tensor::new(&[20, 1, 4, 4], (0..20).flat_map(pixels).collect())?;
    let set = EvaluationSet::new(images, vec![0; 20], (0..20).collect())?;
    // The standard version of AutoAttack needs four classes.
    let auto = "autoattack:norm=linf,eps=8/255,version=custom,members=apgd+fab+square";
    let attacks = ["fgsm:eps=8/255".parse()?, auto.parse()?];
    let found = evaluate(&network, &set, &attacks, &EvaluationOptions::default(), &mut Silent)?;
    for attack in &found.attacks {
        println!("{}: {} of {} stand", attack.name, attack.robust, attack.n);
    }
    Ok(())
}
