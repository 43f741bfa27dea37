//! Curvature profiles of one image: all eigenvalues of a finite-difference Hessian, and of the exact
//! one from its factor.

use std::hint::black_box;
use std::time::Instant;

use cure_geometry::{Difference, Factor, FiniteDifference, Losses, curvature_profile};
use cure_network::Network;
use cure_tensor::Tensor;

use super::job::{Job, Measurement};
use crate::failure::{Blame, Failure, Outcome};
use crate::machine::peak_memory_mib;

/// The step of the finite difference, in pixels of [0, 1]; the rivals' is the same.
const H: f64 = 0.1;

/// No repeat warms up: each is thousands of passes.
pub(super) fn profile(
    job: &Job,
    network: &Network,
    images: &Tensor,
    labels: &[usize],
) -> Outcome<Measurement> {
    let frozen = network.frozen().failed()?;
    let units = vec![1.0; network.normalization().std.len()];
    let losses =
        Losses::new(&frozen, images.clone(), labels.to_vec(), &units, job.batch).failed()?;
    let baseline_mib = peak_memory_mib();
    let mut ms = Vec::with_capacity(job.repeats);
    for _ in 0..job.repeats {
        let start = Instant::now();
        let found = match job.row.as_str() {
            "exact-profile" => Some(Factor::new(&losses).failed()?.profile(0).failed()?),
            _ => {
                let mut hessian =
                    FiniteDifference::new(&losses, Difference::Forward, H).failed()?;
                curvature_profile(&mut hessian, &[0], |_, _| true).failed()?.remove(0)
            }
        };
        ms.push(start.elapsed().as_secs_f64() * 1e3);
        black_box(found)
            .ok_or_else(|| Failure::Failed("the image's Hessian is not finite".into()))?;
    }
    Ok(Measurement { ms, baseline_mib, ..Measurement::default() })
}
