//! CURE on data of your own: arrays in memory, a network from random weights, a run's folder.
#![allow(clippy::print_stdout)]
use cure::data::{Dataset, Pixels, Split};
use cure::network::{Architecture, Network, Normalization};
use cure::training::{
    Control, Event, Outcome, RunDirectory, TrainingConfig, ValueSchedule, preset, train,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Two classes of 8×8 images: brighter above, and brighter below.
    let label = |image: usize| image % 2;
    let pixel = |image: usize, i: usize| {
        let is_bright = (i < 32) == (label(image) == 0);
        (if is_bright { 150 } else { 100 }) + ((image * 31 + i * 17) % 50) as u8
    };
    let pixels = (0..400).flat_map(|image| (0..64).map(move |i| pixel(image, i))).collect();
    let names = vec!["above".to_owned(), "below".to_owned()];
    let labels = (0..400).map(label).collect();
    let data = Dataset::new("mine", Split::Train, [1, 8, 8], Pixels::Bytes(pixels), labels, names)?;

    let architecture = Architecture::named("cnn", data.classes(), data.shape())?;
    let network = Network::random(architecture, Normalization::none(1), 0)?;
    // The published code's recipe, shorter, and with a shorter step: these images are small.
    let h = ValueSchedule::Constant(0.2);
    let config = TrainingConfig { epochs: 5, batch: 50, h, ..preset("authors-2021")? };
    let folder = std::env::temp_dir().join(format!("cure-example-{}", std::process::id()));
    let mut run = RunDirectory::create(&folder, &config)?;
    let mut go_on = |_: &Event<'_>| Control::Continue;
    let Outcome::Finished(found) = train(network, &data, None, &config, &mut run, &mut go_on)?
    else {
        return Err("somebody stopped it".into());
    };
    for row in &found.rows {
        println!("epoch {}: loss {:.3}, regulariser {:.3}", row.epoch, row.loss, row.regularizer);
    }
    println!("weights and metrics are in {}", folder.display());
    Ok(())
}
