//! Threads that stand for the processes of a job.

use std::sync::{Arc, Barrier, Mutex};

use cure_network::{Communicator, Ranks};

struct Thread {
    rank: usize,
    barrier: Arc<Barrier>,
    values: Arc<Mutex<Vec<Vec<f64>>>>,
}

impl Communicator for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.values.lock().unwrap().len()
    }

    fn sum(&self, values: &mut [f64]) {
        self.values.lock().unwrap()[self.rank] = values.to_vec();
        self.barrier.wait();
        for (at, value) in values.iter_mut().enumerate() {
            *value = self.values.lock().unwrap().iter().map(|of_rank| of_rank[at]).sum();
        }
        self.barrier.wait();
    }

    fn sum_single(&self, values: &mut [f32]) {
        let mut wide: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
        self.sum(&mut wide);
        values.iter_mut().zip(wide).for_each(|(value, sum)| *value = sum as f32);
    }

    fn gather(&self, _: &[u8]) -> Vec<Vec<u8>> {
        unreachable!("training gathers nothing")
    }
}

/// What `work` comes to on each of `size` ranks.
pub fn on_ranks<T: Send>(size: usize, work: impl Fn(Ranks) -> T + Sync) -> Vec<T> {
    let barrier = Arc::new(Barrier::new(size));
    let values = Arc::new(Mutex::new(vec![Vec::new(); size]));
    std::thread::scope(|scope| {
        let start = |rank| {
            let thread = Thread { rank, barrier: barrier.clone(), values: values.clone() };
            let work = &work;
            scope.spawn(move || {
                // Of its own, as a process has: a pool's thread that waits for another rank must
                // not be the one that this rank needs.
                let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
                pool.install(|| work(Ranks::of(Arc::new(thread))))
            })
        };
        let threads: Vec<_> = (0..size).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
