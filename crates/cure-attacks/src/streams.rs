use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A private stream of random numbers for each sample and restart: a pure function of the seed,
/// of the sample's index in its dataset as stored, and of the restart. So results depend neither
/// on batch size nor on order, and restarts differ.
#[derive(Clone, Copy, Debug)]
pub struct Streams<'a> {
    seed: u64,
    indices: &'a [usize],
}

impl<'a> Streams<'a> {
    /// The streams of samples whose stored indices are `indices`, one for each image.
    pub fn new(seed: u64, indices: &'a [usize]) -> Self {
        Self { seed, indices }
    }

    pub(crate) fn len(&self) -> usize {
        self.indices.len()
    }

    /// The stored indices of the batch's samples `rows`.
    pub(crate) fn indices_of(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().map(|&row| self.indices[row]).collect()
    }

    /// The streams of other samples, under the same seed.
    pub(crate) fn of<'b>(&self, indices: &'b [usize]) -> Streams<'b> {
        Streams { seed: self.seed, indices }
    }

    /// The stream of the batch's sample `row`.
    pub(crate) fn stream(&self, row: usize, restart: usize) -> ChaCha8Rng {
        // The key of the cipher is the numbers themselves, under a tag that keeps these streams
        // apart from those of other parts of the program.
        let mut key = [0; 32];
        let words = [
            u64::from_le_bytes(*b"attacks\0"),
            self.seed,
            self.indices[row] as u64,
            restart as u64,
        ];
        for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        ChaCha8Rng::from_seed(key)
    }
}
