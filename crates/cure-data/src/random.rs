//! Private random streams, one for each purpose.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream is for. Streams of different purposes are independent under one seed.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Shuffle = 1,
    Augmentation = 2,
    Balanced = 3,
    Validation = 4,
}

/// The stream of one purpose and three numbers: a pure function of them, the key of the cipher
/// being the numbers themselves.
pub(crate) fn stream(purpose: Purpose, seed: u64, major: u64, minor: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    let words = [purpose as u64, seed, major, minor];
    for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}
