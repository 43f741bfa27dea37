//! The processes of an MPI job, where this is one of them.

use cure_network::Ranks;

use crate::failure::{Failure, Outcome};

/// How many processes a launcher says it started (Open MPI; MPICH and Intel MPI; Slurm with PMIx); 1
/// without one.
fn launched() -> usize {
    let number = |name: &str| std::env::var(name).ok()?.parse::<usize>().ok();
    let slurm = || number("PMIX_RANK").and_then(|_| number("SLURM_NTASKS"));
    number("OMPI_COMM_WORLD_SIZE").or_else(|| number("PMI_SIZE")).or_else(slurm).unwrap_or(1)
}

#[cfg(feature = "mpi")]
pub(crate) use message_passing::Job;

/// This process's membership; it ends with this value.
#[cfg(not(feature = "mpi"))]
pub(crate) struct Job;

#[cfg(not(feature = "mpi"))]
impl Job {
    /// Joins the job that a launcher started, if one did.
    ///
    /// # Errors
    /// [`Failure::Input`] where there are other processes: each would do all of the work.
    pub(crate) fn join() -> Outcome<Self> {
        match launched() {
            1 => Ok(Self),
            count => Err(Failure::Input(format!(
                "this is one of {count} processes of an MPI job, and this build does not know MPI; \
                 build it with --features mpi, or start one process"
            ))),
        }
    }

    /// The job's processes.
    pub(crate) fn ranks(&self) -> Ranks {
        Ranks::alone()
    }

    /// Threads for this process where none were asked for; 0 for all cores.
    pub(crate) fn threads(&self) -> usize {
        0
    }

    /// Ends the other processes too: they wait for this one.
    pub(crate) fn abort(&self, _code: u8) {}
}

#[cfg(feature = "mpi")]
mod message_passing {
    use std::sync::Arc;

    use cure_network::Communicator;
    use mpi::collective::SystemOperation;
    use mpi::datatype::PartitionMut;
    use mpi::environment::Universe;
    use mpi::topology::SimpleCommunicator;
    use mpi::traits::{Communicator as _, CommunicatorCollectives as _, Equivalence};
    use mpi::{Count, Threading};

    use super::{Failure, Outcome, Ranks, launched};

    /// Values summed by one call: MPI counts in 32 bits.
    const AT_ONCE: usize = 1 << 28;

    /// This process's membership; it ends with this value.
    pub(crate) struct Job(Option<Universe>);

    impl Job {
        /// Joins the job that a launcher started, if one did.
        ///
        /// # Errors
        /// [`Failure::Failed`] if the MPI library does not let threads take turns.
        pub(crate) fn join() -> Outcome<Self> {
            if launched() == 1 {
                // MPI takes a moment to start, and is not missed.
                return Ok(Self(None));
            }
            let started = mpi::initialize_with_threading(Threading::Serialized);
            match started {
                Some((universe, Threading::Serialized | Threading::Multiple)) => {
                    let job = Self(Some(universe));
                    match world().size() as usize == launched() {
                        true => Ok(job),
                        false => Err(Failure::Failed(format!(
                            "the launcher started {} processes, and MPI knows of {}: start them \
                             with the mpirun of the MPI library that this program was built with",
                            launched(),
                            world().size()
                        ))),
                    }
                }
                _ => Err(Failure::Failed(
                    "this MPI library does not support MPI_THREAD_SERIALIZED, which is needed"
                        .into(),
                )),
            }
        }

        /// The job's processes.
        pub(crate) fn ranks(&self) -> Ranks {
            self.0.as_ref().map_or_else(Ranks::alone, |_| Ranks::of(Arc::new(World)))
        }

        /// Threads for this process where none were asked for: the cores that the launcher bound it to,
        /// or else the machine's, divided among the job's processes on it; 0 for all cores.
        pub(crate) fn threads(&self) -> usize {
            if self.0.is_none() {
                return 0;
            }
            let neighbours = world().split_shared(world().rank()).size().max(1) as usize;
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            // Where the launcher bound the process to a share, it has that share for itself.
            match bound_to() {
                Some(own) => own.min(cores),
                None => (cores / neighbours).max(1),
            }
        }

        /// Ends the other processes too: they wait for this one.
        pub(crate) fn abort(&self, code: u8) {
            if self.0.is_some() {
                world().abort(code.into());
            }
        }
    }

    /// A rank that panics would leave the others waiting: to leave MPI is to wait for them.
    impl Drop for Job {
        fn drop(&mut self) {
            if std::thread::panicking() {
                self.abort(101);
            }
        }
    }

    /// Cores that this process is bound to, where it is not free to use all of the machine's.
    #[cfg(target_os = "linux")]
    fn bound_to() -> Option<usize> {
        // SAFETY: a set of bits, for which all zeros is a value; the call writes at most its size.
        let (own, all) = unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) != 0 {
                return None;
            }
            (libc::CPU_COUNT(&set), libc::sysconf(libc::_SC_NPROCESSORS_ONLN))
        };
        let own = usize::try_from(own).ok()?;
        (own > 0 && own < usize::try_from(all).ok()?).then_some(own)
    }

    #[cfg(not(target_os = "linux"))]
    fn bound_to() -> Option<usize> {
        None
    }

    fn world() -> SimpleCommunicator {
        SimpleCommunicator::world()
    }

    /// All processes of the job. An error of MPI ends the job, as is MPI's default.
    struct World;

    fn sum<T: Equivalence + Copy>(values: &mut [T]) {
        for part in values.chunks_mut(AT_ONCE) {
            let own = part.to_vec();
            world().all_reduce_into(&own[..], part, SystemOperation::sum());
        }
    }

    impl Communicator for World {
        fn rank(&self) -> usize {
            world().rank() as usize
        }

        fn size(&self) -> usize {
            world().size() as usize
        }

        fn sum(&self, values: &mut [f64]) {
            sum(values);
        }

        fn sum_single(&self, values: &mut [f32]) {
            sum(values);
        }

        fn gather(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
            let mut lengths: Vec<Count> = vec![0; self.size()];
            world().all_gather_into(&(bytes.len() as Count), &mut lengths[..]);
            let starts: Vec<Count> = lengths
                .iter()
                .scan(0, |end, length| {
                    *end += length;
                    Some(*end - length)
                })
                .collect();
            let mut all = vec![0u8; lengths.iter().map(|&length| length as usize).sum()];
            let mut parts = PartitionMut::new(&mut all[..], &lengths[..], &starts[..]);
            world().all_gather_varcount_into(bytes, &mut parts);
            let ends = starts.iter().zip(&lengths);
            ends.map(|(&start, &length)| all[start as usize..(start + length) as usize].to_vec())
                .collect()
        }
    }
}
