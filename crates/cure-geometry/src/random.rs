use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A sample's own stream of random numbers: of the seed, of its place in its split as stored, and of
/// what it is for. Whatever else is measured beside it, it draws the same.
pub(crate) fn stream(seed: u64, index: usize, purpose: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(index as u64).to_le_bytes());
    key[16..24].copy_from_slice(&purpose.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// A draw of N(0, I), by Box and Muller.
pub(crate) fn gaussian(stream: &mut ChaCha8Rng, length: usize) -> Vec<f64> {
    let draw = |_| {
        let radius = (-2.0 * (1.0 - stream.random::<f64>()).ln()).sqrt();
        radius * (std::f64::consts::TAU * stream.random::<f64>()).cos()
    };
    (0..length).map(draw).collect()
}
