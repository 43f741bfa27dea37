//! The extents of a convolution, and its weights.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::direct;
use super::winograd::{self, Packed};
use crate::meter::{self, Running};
use crate::{Result, Tensor, TensorError};

/// How a kernel is laid over its input; the same in both directions of the plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Distance between output positions, at least 1.
    pub stride: usize,
    /// Zeros added on every side.
    pub padding: usize,
    /// Number of channel groups that do not see each other.
    pub groups: usize,
}

impl Window {
    /// One group, the given stride and padding.
    pub fn new(stride: usize, padding: usize) -> Self {
        Self { stride, padding, groups: 1 }
    }
}

/// Convolution weights, `[C_out, C_in/groups, kh, kw]`: as given until somebody needs them, then as
/// the products read them.
#[derive(Clone, Debug)]
pub struct Kernel {
    shape: Vec<usize>,
    forms: Arc<Forms>,
}

#[derive(Debug)]
struct Forms {
    weight: RwLock<Weight>,
    /// For the convolution, and for its pull back.
    packed: [OnceLock<Arc<Packed>>; 2],
    direct: [OnceLock<Arc<direct::Packed>>; 2],
}

#[derive(Debug)]
enum Weight {
    Given(Tensor),
    /// Once both transformed forms are there the first stands for it: one copy less.
    Packed(Arc<Packed>),
}

impl Kernel {
    /// Wraps `weight`, `[C_out, C_in/groups, kh, kw]`; its shape is checked when it is used.
    pub fn new(weight: Tensor) -> Self {
        let shape = weight.shape().to_vec();
        let weight = RwLock::new(Weight::Given(weight));
        let forms = Forms { weight, packed: Default::default(), direct: Default::default() };
        Self { shape, forms: Arc::new(forms) }
    }

    /// `[C_out, C_in/groups, kh, kw]`.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Whether only packed forms are held.
    #[cfg(test)]
    pub(super) fn is_packed(&self) -> bool {
        matches!(
            &*self.forms.weight.read().unwrap_or_else(PoisonError::into_inner),
            Weight::Packed(_)
        )
    }

    pub(super) fn weight(&self) -> Tensor {
        match &*self.forms.weight.read().unwrap_or_else(PoisonError::into_inner) {
            Weight::Given(weight) => weight.clone(),
            Weight::Packed(packed) => packed.unpack(&self.shape),
        }
    }

    /// The weights as plain sums read them.
    pub(super) fn direct(&self, plan: &direct::Plan, geometry: &Geometry) -> Arc<direct::Packed> {
        let new = || Arc::new(direct::Packed::new(plan, self.weight().cpu(), geometry.taps()));
        let packed = once(&self.forms.direct[usize::from(plan.is_pull_back)], new);
        if packed.serves(plan) { packed.clone() } else { new() }
    }

    /// The weights as the transformed product reads them.
    pub(super) fn packed(&self, geometry: &Geometry) -> &Packed {
        self.transformed(0, || {
            Packed::new(self.weight().cpu(), geometry.channels_out, geometry.channels_in)
        })
    }

    /// The weights of the pull back, likewise; `geometry` is that of the convolution itself.
    pub(super) fn packed_mirrored(&self, geometry: &Geometry) -> &Packed {
        self.transformed(1, || {
            Packed::mirrored(self.weight().cpu(), geometry.channels_out, geometry.channels_in)
        })
    }

    fn transformed(&self, which: usize, new: impl FnOnce() -> Packed) -> &Packed {
        let [first, second] = &self.forms.packed;
        if let Some(packed) = self.forms.packed[which].get() {
            return packed;
        }
        let packed = once(&self.forms.packed[which], || Arc::new(new()));
        if let (Some(first), Some(_)) = (first.get(), second.get()) {
            let mut weight = self.forms.weight.write().unwrap_or_else(PoisonError::into_inner);
            *weight = Weight::Packed(first.clone());
        }
        packed
    }
}

/// What the cell holds, made before the cell is touched: packing shares its work out, and a thread that waited
/// there could be given work that asks for the same cell.
fn once<T>(cell: &OnceLock<T>, new: impl FnOnce() -> T) -> &T {
    match cell.get() {
        Some(value) => value,
        None => {
            let value = new();
            cell.get_or_init(|| value)
        }
    }
}

/// Every extent of one convolution, checked against each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub(super) batch: usize,
    pub(super) channels_in: usize,
    pub(super) channels_out: usize,
    /// Height and width of the input planes.
    pub(super) input: [usize; 2],
    /// Height and width of the output planes.
    pub(super) output: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) window: Window,
}

impl Geometry {
    pub(super) fn new(
        operation: &'static str,
        input: &[usize],
        weight: &[usize],
        window: Window,
    ) -> Result<Self> {
        /// Far beyond any use, and sums with it do not overflow.
        const MOST_PADDING: usize = 1 << 20;
        let Window { stride, padding, groups } = window;
        let &[channels_in, batch, h, w] = input else {
            return Err(TensorError::shape(operation, "[C, N, H, W]", input));
        };
        let &[channels_out, inner, kh, kw] = weight else {
            return Err(TensorError::shape(operation, "[C_out, C_in/groups, kh, kw]", weight));
        };
        let fits = stride > 0
            && groups > 0
            && inner > 0
            && h > 0
            && w > 0
            && padding <= MOST_PADDING
            && channels_out > 0
            && channels_out.is_multiple_of(groups)
            && inner * groups == channels_in
            && (1..=h + 2 * padding).contains(&kh)
            && (1..=w + 2 * padding).contains(&kw);
        if !fits {
            let expected = format!("weights for input {input:?} with {window:?}");
            return Err(TensorError::shape(operation, expected, weight));
        }
        let output = [(h + 2 * padding - kh) / stride + 1, (w + 2 * padding - kw) / stride + 1];
        let (input, kernel) = ([h, w], [kh, kw]);
        Ok(Self { batch, channels_in, channels_out, input, output, kernel, window })
    }

    pub(super) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    pub(super) fn channels_in_a_group(&self) -> usize {
        self.channels_in / self.window.groups
    }

    pub(super) fn channels_out_a_group(&self) -> usize {
        self.channels_out / self.window.groups
    }

    /// Output positions of the whole batch.
    pub(super) fn positions(&self) -> usize {
        self.batch * self.output[0] * self.output[1]
    }

    /// What a recording says of a convolution, or of either of its transposes, on the path that
    /// [`super::path`] gives. `times`: how often its products are taken.
    pub(super) fn running(&self, operation: &'static str, times: usize) -> Running {
        let on_torch = crate::device().is_torch();
        let path = if on_torch { "libtorch" } else { super::path(self) };
        meter::convolution(operation, path, || {
            let [kh, kw] = self.kernel;
            let weight = vec![self.channels_out, self.channels_in_a_group(), kh, kw];
            let pairs = (self.channels_out * self.channels_in_a_group()) as u64;
            let plain = pairs * (self.positions() * self.taps()) as u64;
            let taken = match !on_torch && winograd::applies(self) {
                true => pairs * winograd::products(self) as u64,
                false => plain,
            };
            (weight, [plain, taken].map(|products| products * times as u64))
        })
    }

    pub(super) fn input_shape(&self) -> [usize; 4] {
        [self.channels_in, self.batch, self.input[0], self.input[1]]
    }

    pub(super) fn output_shape(&self) -> [usize; 4] {
        [self.channels_out, self.batch, self.output[0], self.output[1]]
    }
}
