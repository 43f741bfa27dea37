//! The SHA-256 of a file of weights, taken beside other work.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sha2::{Digest, Sha256};

/// Bytes hashed between two looks at whether anybody still wants the digest.
const AT_ONCE: usize = 1 << 20;

/// The SHA-256 of a file's contents as they were read. It names the file in results and decides
/// nothing, but takes as long as all else about reading weights: so it is taken beside whatever comes
/// next, and who asks before it is there waits.
#[derive(Clone)]
pub struct FileDigest(Arc<Pending>);

struct Pending {
    hexadecimal: OnceLock<String>,
    /// Let go of once the digest is there.
    contents: Mutex<Option<Arc<Vec<u8>>>>,
}

impl FileDigest {
    pub(crate) fn of(contents: Arc<Vec<u8>>) -> Self {
        let contents = Mutex::new(Some(contents));
        Self(Arc::new(Pending { hexadecimal: OnceLock::new(), contents }))
    }

    /// Begins to take the digest, on a thread of its own that ends early when nobody is left to ask.
    pub(crate) fn begin(&self) {
        let pending = self.0.clone();
        let take = move || {
            pending.get(|| Arc::strong_count(&pending) > 1);
        };
        // Where there is no thread to be had, who asks takes it.
        let _ = std::thread::Builder::new().name("digest".into()).spawn(take);
    }

    /// The digest in lower-case hexadecimal.
    pub fn hexadecimal(&self) -> &str {
        self.0.get(|| true)
    }
}

impl Pending {
    /// The digest; something else if `is_wanted` says that nobody will see it.
    fn get(&self, is_wanted: impl Fn() -> bool) -> &str {
        self.hexadecimal.get_or_init(|| {
            let contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner).take();
            let mut digest = Sha256::new();
            let contents = contents.as_ref().map_or(&[][..], |contents| contents.as_slice());
            for part in contents.chunks(AT_ONCE).take_while(|_| is_wanted()) {
                digest.update(part);
            }
            digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
        })
    }
}

impl fmt::Display for FileDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.hexadecimal())
    }
}

impl fmt::Debug for FileDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.hexadecimal.get().map_or("not taken yet", String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_whoever_takes_it() {
        let contents =
            Arc::new((0..3 * AT_ONCE + 5).map(|at| (at % 251) as u8).collect::<Vec<_>>());
        let expected: String =
            Sha256::digest(contents.as_slice()).iter().map(|byte| format!("{byte:02x}")).collect();
        let asked = FileDigest::of(contents.clone());
        assert_eq!(asked.hexadecimal(), expected);
        let begun = FileDigest::of(contents.clone());
        begun.begin();
        let clone = begun.clone();
        drop(begun);
        assert_eq!(clone.to_string(), expected);
        assert_eq!(Arc::strong_count(&contents), 1, "the contents are let go of");
    }

    #[test]
    fn a_digest_that_nobody_wants_is_given_up() {
        let contents = Arc::new(vec![0; 5 * AT_ONCE]);
        let digest = FileDigest::of(contents.clone());
        let asked = std::cell::Cell::new(0);
        let wanted_twice = || {
            asked.set(asked.get() + 1);
            asked.get() <= 2
        };
        let expected: String =
            Sha256::digest(&contents[..2 * AT_ONCE]).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(digest.0.get(wanted_twice), expected, "no more than two parts are hashed");
        assert_eq!(asked.get(), 3);
        assert_eq!(Arc::strong_count(&contents), 1, "the contents are let go of");
    }
}
