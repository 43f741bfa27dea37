//! The curvature of the loss at one image: all eigenvalues of its exact Hessian.
#![allow(clippy::print_stdout)]
use cure::data::{DataSpec, Split};
use cure::geometry::{Exact, Losses, curvature_profile};
use cure::network::{Architecture, Network, Normalization};
use cure::tensor::Tensor;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let digits = "digits".parse::<DataSpec>()?.load(Split::Test)?;
    let architecture = Architecture::named("cnn+softplus=5", digits.classes(), digits.shape())?;
    let network = Network::random(architecture, Normalization::none(1), 0)?;
    let classifier = network.frozen()?;
    let batch = digits.batch(&[0])?;
    let image: Tensor = batch.images;
    // Lengths are in pixels of [0, 1]; one image at a time is sent through the network.
    let losses = Losses::new(&classifier, image, batch.labels, &[1.0], 1)?;
    let profiles = curvature_profile(&mut Exact::new(&losses), &[0], |_, _| true)?;
    let Some(Some(profile)) = profiles.first() else { return Err("H is not finite".into()) };
    println!("five largest: {:.3?}", &profile.eigenvalues[..5]);
    println!("five smallest: {:.3?}", &profile.eigenvalues[profile.eigenvalues.len() - 5..]);
    println!("‖H‖_F = {:.3}", profile.frobenius);
    Ok(())
}
