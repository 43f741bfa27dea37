//! Which instructions are used, and which sums: settings of the process, for those who want to know what
//! difference they make.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use pulp::{Arch, WithSimd};

use crate::{Result, TensorError};

/// A kind of vector instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vectors {
    /// The widest that this machine has, found at run time.
    #[default]
    Widest,
    /// AVX-512: 16 values.
    Avx512,
    /// AVX2 and FMA: 8 values.
    Avx2,
    /// NEON: 4 values.
    Neon,
    /// None: one value, a fused multiply-add all the same.
    Scalar,
}

impl Vectors {
    /// Every kind, with its name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("widest", Self::Widest),
        ("avx512", Self::Avx512),
        ("avx2", Self::Avx2),
        ("neon", Self::Neon),
        ("scalar", Self::Scalar),
    ];

    /// What to dispatch to; `None` where this machine does not have it.
    fn arch(self) -> Option<Arch> {
        match self {
            Self::Widest => Some(Arch::new()),
            Self::Scalar => Some(Arch::Scalar),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => pulp::x86::V4::try_new().map(Arch::V4),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => pulp::x86::V3::try_new().map(Arch::V3),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => pulp::aarch64::Neon::try_new().map(Arch::Neon),
            #[allow(unreachable_patterns, reason = "which kinds there are depends on the target")]
            _ => None,
        }
    }
}

/// Chosen once: an operation relies on all its parts using the same.
static ARCH: OnceLock<Arch> = OnceLock::new();
static PLAIN_SUMS: AtomicBool = AtomicBool::new(false);

/// Uses these vectors in the whole process. All of them give the same bits.
///
/// # Errors
/// If this machine does not have them, or if operations have run or vectors were chosen before.
pub fn use_vectors(vectors: Vectors) -> Result<()> {
    let refuse = |accepted: String| {
        let value = format!("{vectors:?}").to_lowercase();
        let (operation, argument) = ("use_vectors", "vectors");
        Err(TensorError::Argument { operation, argument, value, accepted })
    };
    let Some(arch) = vectors.arch() else {
        let here = Vectors::ALL.iter().filter(|(_, kind)| kind.arch().is_some());
        let names: Vec<&str> = here.map(|(name, _)| *name).collect();
        return refuse(format!("{} on this machine", names.join(", ")));
    };
    match ARCH.set(arch) {
        Ok(()) => Ok(()),
        Err(_) => refuse("one choice, before the first operation".into()),
    }
}

/// Whether convolutions take plain sums everywhere from now on, in the whole process, instead of
/// transformed tiles where those are quicker: about half the rounding error, up to four times the work.
pub fn use_plain_sums(plain: bool) {
    PLAIN_SUMS.store(plain, Ordering::SeqCst);
}

/// Whether they do.
pub fn takes_plain_sums() -> bool {
    PLAIN_SUMS.load(Ordering::Relaxed)
}

/// Runs `work` with the vectors chosen.
#[inline]
pub(super) fn dispatch<W: WithSimd>(work: W) -> W::Output {
    ARCH.get_or_init(Arch::new).dispatch(work)
}

/// Runs `work` compiled for the vectors chosen. Additions are neither reordered nor contracted: the bits are
/// the same everywhere.
#[inline]
pub(crate) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    dispatch(Inlined(work))
}

/// A closure that is compiled into whoever calls it, with the caller's instructions.
struct Inlined<F>(F);

impl<R, F: FnOnce() -> R> pulp::NullaryFnOnce for Inlined<F> {
    type Output = R;

    #[inline(always)]
    fn call(self) -> R {
        (self.0)()
    }
}
