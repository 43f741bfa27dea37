//! What a step costs, counted instead of timed: passes of the convolutions, the path each layer
//! takes, and buffers. A pass too many, a fast path lost or memory no longer used again is found
//! here.
#![allow(clippy::unwrap_used, missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cure_network::{Architecture, Classifier, Network, Normalization};
use cure_tensor::meter::{self, Record};
use cure_tensor::{Tensor, ops};
use cure_training::{
    Average, BatchNormMode, CureOptions, EpochValues, Objective, Optimizer, OptimizerOptions,
    SampleStreams,
};

const BATCH: usize = 4;

/// The system's allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: the system's own, which keeps the promises.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as promised by the caller, here and below.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

/// The pool of buffers is the process's: while one test counts, the others wait.
static COUNTING: Mutex<()> = Mutex::new(());

fn network(name: &str) -> Network {
    let architecture = Architecture::named(name, 10, [3, 32, 32]).unwrap();
    Network::random(architecture, Normalization::parse("cifar10", 3).unwrap(), 0).unwrap()
}

fn images() -> Tensor {
    let values = (0..BATCH * 3072).map(|i| ((i * 7919) % 256) as f32 / 255.0).collect();
    Tensor::new(&[BATCH, 3, 32, 32], values).unwrap()
}

/// Steps on one thread, and what the first did and the last.
fn steps(name: &str, objective: &Objective, count: usize) -> [Record; 2] {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let mut network = network(name);
    let mut step = || {
        let work = || {
            let streams = SampleStreams { seed: 0, epoch: 0, indices: &[0, 1, 2, 3] };
            let at = EpochValues { h: 0.6, gamma: 0.8 };
            objective.step(&mut network, &images(), &[0, 1, 2, 3], &at, &streams).unwrap();
        };
        pool.install(|| meter::record(work)).1
    };
    let first = step();
    let last = (1..count).map(|_| step()).last();
    [first, last.unwrap_or_default()]
}

fn cure(loss_mode: BatchNormMode, recompute: bool) -> Objective {
    Objective::Cure(CureOptions { loss_mode, recompute, ..CureOptions::default() })
}

/// Passes of one operation, in multiply-adds of the whole network; the first layer's are told
/// apart, since nobody asks for the gradient of the images in a pass for parameters.
fn check_passes(name: &str, objective: &Objective, [forward, back, images, weights]: [u64; 4]) {
    let macs = network(name).multiply_adds() * BATCH as u64;
    let [record, _] = steps(name, objective, 1);
    let is_first = |weight: &[usize]| weight.get(1) == Some(&3);
    let first = |operation: &str| -> u64 {
        let entries = record.entries.iter().filter(|entry| entry.operation == operation);
        entries.filter(|entry| is_first(&entry.weight)).map(|entry| entry.multiply_adds).sum()
    };
    let first_layer = first("convolution") / forward;
    assert!(first_layer > 0);
    assert_eq!(record.multiply_adds("convolution"), forward * macs, "{name} forward");
    assert_eq!(
        record.multiply_adds("convolution_input_gradient"),
        back * (macs - first_layer) + images * first_layer,
        "{name} back"
    );
    assert_eq!(
        record.multiply_adds("convolution_weight_gradient"),
        weights * macs,
        "{name} weights"
    );
}

#[test]
fn passes_of_a_step() {
    if cure_tensor::device().is_torch() {
        return eprintln!("skipped: this is how the CPU engine works");
    }
    let _counting = COUNTING.lock().unwrap();
    use BatchNormMode::{Eval, Train};
    for name in ["resnet20", "resnet18"] {
        check_passes(name, &Objective::default(), [1, 1, 0, 1]);
        // At x and at x + hz: values and tangents; ∇ℓ and its derivative; two products a weight.
        check_passes(name, &cure(Eval, false), [4, 4, 2, 4]);
        // And the loss with BatchNorm over the batch.
        check_passes(name, &cure(Train, false), [5, 5, 2, 5]);
        check_passes(name, &cure(Eval, true), [5, 5, 3, 4]);
    }
}

/// The table of objectives says these numbers.
#[test]
fn passes_of_every_objective() {
    if cure_tensor::device().is_torch() {
        return eprintln!("skipped: this is how the CPU engine works");
    }
    let _counting = COUNTING.lock().unwrap();
    // Forward, back, of it as far as the images, weights; in the table: all of the first, second
    // and last.
    for (spec, passes, sum) in [
        ("standard", [1, 1, 0, 1], 3),
        ("cure", [5, 5, 2, 5], 15),
        ("cure:alpha=0.5,beta=0.5", [5, 5, 2, 5], 15),
        ("cure:alpha=0.5,beta=0.5,loss_mode=eval", [4, 4, 2, 4], 12),
        ("cure:alpha=0.5,beta=0.5,noise=1,loss_mode=eval", [5, 5, 2, 5], 15),
        ("cure:alpha=0,beta=1", [4, 4, 2, 4], 12),
        ("cure:alpha=0,beta=1,held=true", [3, 3, 2, 2], 8),
        ("cure:alpha=0.5,beta=0.5,held=true", [4, 4, 2, 3], 11),
        ("cure:alpha=0.5,beta=0.5,held=true,loss_mode=eval", [3, 4, 2, 3], 10),
        ("pgd-at:eps=8/255", [8, 8, 7, 1], 17),
        ("pgd-at:eps=8/255,steps=3,awp=0.01", [5, 5, 3, 2], 12),
        ("fgsm-at:eps=8/255", [2, 2, 1, 1], 5),
        ("fgsm-rs:eps=8/255", [2, 2, 1, 1], 5),
        ("n-fgsm:eps=8/255", [2, 2, 1, 1], 5),
        ("free:eps=8/255", [1, 1, 1, 1], 3),
        ("trades:eps=8/255", [13, 12, 10, 2], 27),
        ("trades:eps=8/255,steps=1,awp=0.005", [6, 5, 1, 4], 15),
        ("trades:eps=8/255,beta=0", [1, 1, 0, 1], 3),
        ("mart:eps=8/255", [12, 12, 10, 2], 26),
        ("gradient-penalty", [3, 3, 1, 3], 9),
        ("gradient-penalty:loss_mode=eval", [2, 2, 1, 2], 6),
        ("gradalign:eps=8/255", [5, 5, 2, 5], 15),
        ("gradalign:eps=8/255,held=true", [4, 4, 2, 3], 11),
        ("llr:eps=8/255", [6, 6, 3, 4], 16),
        ("llr:eps=8/255,loss_mode=eval", [5, 5, 3, 3], 13),
        ("elle:eps=8/255", [5, 5, 1, 4], 14),
    ] {
        let objective: Objective = spec.parse().unwrap();
        assert_eq!(passes[0] + passes[1] + passes[3], sum, "{spec}");
        check_passes("resnet20", &objective, passes);
        if spec.trim_end_matches(":eps=8/255") == objective.name() {
            let said = objective.entry().passes.split([':', ';', ' ']).next().unwrap();
            assert_eq!(said, sum.to_string(), "{spec}");
        }
    }
}

/// DeepFool stops where it succeeds: its passes are those of the samples still on their way.
#[test]
fn passes_of_deepfool() {
    if cure_tensor::device().is_torch() {
        return eprintln!("skipped: this is how the CPU engine works");
    }
    let _counting = COUNTING.lock().unwrap();
    let macs = network("resnet20").multiply_adds() * BATCH as u64;
    let [record, _] = steps("resnet20", &"deepfool:steps=2,candidates=4".parse().unwrap(), 1);
    let passes = |operation| record.multiply_adds(operation).div_ceil(macs);
    assert_eq!(passes("convolution_weight_gradient"), 1);
    assert!(passes("convolution") <= 2 + 2 * 2);
    assert!(passes("convolution_input_gradient") <= 1 + 2 * 3);
}

#[test]
fn buffers_of_a_step() {
    let _counting = COUNTING.lock().unwrap();
    use BatchNormMode::{Eval, Train};
    for (objective, most) in
        [(Objective::default(), 230), (cure(Eval, false), 480), (cure(Train, false), 710)]
    {
        let [_, later] = steps("resnet18", &objective, 3);
        assert_eq!(later.new_buffers, 0, "memory is not used again");
        assert!(later.buffers <= most, "{} buffers instead of {most}", later.buffers);
    }
}

/// All that is asked of the allocator by a later step on one thread: lists of shapes and of tiles,
/// small tensors, nothing that grows with the activations, which come from the pool.
#[test]
fn allocations_of_a_step() {
    let _counting = COUNTING.lock().unwrap();
    use BatchNormMode::{Eval, Train};
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for (objective, most, most_bytes) in [
        (Objective::default(), 5_000, 3_500_000),
        (cure(Eval, false), 12_000, 6_500_000),
        (cure(Train, false), 17_000, 10_000_000),
    ] {
        let mut network = network("resnet18");
        let images = images();
        let mut step = || {
            let streams = SampleStreams { seed: 0, epoch: 0, indices: &[0, 1, 2, 3] };
            let at = EpochValues { h: 0.6, gamma: 0.8 };
            objective.step(&mut network, &images, &[0, 1, 2, 3], &at, &streams).unwrap();
        };
        pool.install(&mut step);
        let count = || [&ALLOCATIONS, &BYTES].map(|count| count.load(Ordering::Relaxed));
        let [before, bytes_before] = count();
        pool.install(&mut step);
        let [after, bytes_after] = count();
        let (found, bytes) = (after - before, bytes_after - bytes_before);
        assert!(
            found <= most && bytes <= most_bytes,
            "{found} allocations of {bytes} bytes instead of {most} of {most_bytes}"
        );
    }
}

#[test]
fn every_layer_takes_its_path() {
    if cure_tensor::device().is_torch() {
        return eprintln!("skipped: this is how the CPU engine works");
    }
    let _counting = COUNTING.lock().unwrap();
    for (name, transformed, direct) in [("resnet20", 18, 2), ("resnet18", 16, 5)] {
        let frozen = network(name).frozen().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let work = || {
            let pass = Classifier::linearize(&frozen, &images()).unwrap();
            pass.pullback(&Tensor::full(&[BATCH, 10], 0.1)).unwrap();
        };
        let record = pool.install(|| meter::record(work)).1;
        for operation in ["convolution", "convolution_input_gradient"] {
            let layers = || record.entries.iter().filter(|entry| entry.operation == operation);
            let on = |path: &str| layers().filter(|entry| entry.path == path).count();
            assert_eq!([on("transformed"), on("direct")], [transformed, direct], "{name}");
            assert_eq!(layers().count(), transformed + direct);
            // All of 3×3 but the one that reads the images.
            for entry in layers() {
                let fits = entry.weight[2..] == [3, 3] && entry.weight[1] != 3;
                assert_eq!(entry.path == "transformed", fits, "{name}, {:?}", entry.weight);
            }
        }
    }
    let [record, _] = steps("resnet18", &Objective::default(), 1);
    let gradients = record.entries.iter().filter(|e| e.operation == "convolution_weight_gradient");
    assert_eq!(gradients.filter(|entry| entry.path == "transformed").count(), 16);
}

/// On a device weights, gradients, statistics, images and activations stay where they are, and no loop over layers
/// or steps of an attack waits for it: what the host sees of a whole step is a few numbers for each sample.
#[test]
fn a_step_on_a_device_brings_little_to_the_host() {
    if !cure_tensor::device().is_torch() {
        return eprintln!("skipped: there is no device but the host");
    }
    let _counting = COUNTING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut network = network("resnet20");
    let labels = [0, 1, 2, 3];
    let on_host = images();
    // A random start is drawn on the host, around the images: they come once, before its attack.
    for (objective, most, seen) in [
        (Objective::default(), 3, 0),
        ("pgd-at:eps=8/255,steps=7".parse().unwrap(), 4, on_host.len()),
        (cure(BatchNormMode::Eval, false), 4, 0),
        (cure(BatchNormMode::Train, false), 5, 0),
    ] {
        // Made on the device, as the loop's are: the host has no copy to look at instead.
        let images = ops::select(&on_host, &labels).unwrap();
        let mut optimizer = Optimizer::new(OptimizerOptions::default(), &network).unwrap();
        let mut average = Average::new(network.clone());
        let (_, record) = meter::record(|| {
            let streams = SampleStreams { seed: 0, epoch: 0, indices: &labels };
            let at = EpochValues { h: 0.6, gamma: 0.8 };
            let found = objective.step(&mut network, &images, &labels, &at, &streams).unwrap();
            assert!(found.gradients.is_finite());
            optimizer.step(&mut network, &found.gradients, 1e-3).unwrap();
            average.update(&network, 0.999).unwrap();
        });
        assert!((1..=most).contains(&record.waits), "{} for {objective}", record.waits);
        // Gradients of so many tensors, and at most a row of logits and some losses for each image.
        let few = network.tensors().len() + labels.len() * (10 + 4) + seen;
        assert!(record.read_back <= few, "{} values for {objective}", record.read_back);
    }
}
