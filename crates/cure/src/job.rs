//! The processes of an MPI job, where this is one of them.

use cure_network::Ranks;

use crate::failure::{Failure, Outcome};

/// What MPI launchers tell the processes they start: how many there are (Open MPI; MPICH and Intel
/// MPI).
const LAUNCHED: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];

/// Processes that a launcher says it started; 1 without one.
fn launched() -> usize {
    let size = |name: &&str| std::env::var(name).ok()?.parse::<usize>().ok();
    LAUNCHED.iter().find_map(size).unwrap_or(1)
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
                    Ok(Self(Some(universe)))
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

        /// Threads for this process where none were asked for: the cores of this machine, divided among
        /// the job's processes on it; 0 for all cores.
        pub(crate) fn threads(&self) -> usize {
            if self.0.is_none() {
                return 0;
            }
            let neighbours = world().split_shared(world().rank()).size().max(1) as usize;
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            // Where the launcher bound the process to its share, that is what it sees.
            (machine_cores() / neighbours).clamp(1, cores)
        }

        /// Ends the other processes too: they wait for this one.
        pub(crate) fn abort(&self, code: u8) {
            if self.0.is_some() {
                world().abort(code.into());
            }
        }
    }

    /// All cores of the machine, whatever this process is bound to.
    fn machine_cores() -> usize {
        #[cfg(target_os = "linux")]
        {
            // SAFETY: sysconf reads a number and has no preconditions.
            let found = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
            usize::try_from(found).unwrap_or(1).max(1)
        }
        #[cfg(not(target_os = "linux"))]
        {
            std::thread::available_parallelism().map_or(1, usize::from)
        }
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
