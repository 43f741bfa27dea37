//! Where a linearised classifier changes its mind.

use cure_network::Linearized;
use cure_tensor::Tensor;

use crate::adversarial::Nearest;
use crate::epsilon::Norm;
use crate::error::Result;
use crate::loss::descending;
use crate::region::{Region, restrict};

/// For each sample of a batch one hyperplane, where a rival's logit equals the label's to first
/// order.
pub(crate) struct Boundaries {
    /// f_k − f_y at the point: negative on the label's side.
    pub(crate) gaps: Vec<f64>,
    /// |f_k − f_y|/(‖w‖* + tiny), the distance to the hyperplane.
    pub(crate) distances: Vec<f64>,
    /// ‖w‖*, in the norm dual to that of the distance.
    pub(crate) sizes: Vec<f64>,
    /// Whether there is a hyperplane: whether some w was finite and not zero.
    pub(crate) known: Vec<bool>,
    /// w = ∇(f_k − f_y) with zeros where nothing may change, one sample after the other.
    normals: Vec<f32>,
}

impl Boundaries {
    /// The nearest of the hyperplanes towards `rivals`, the first of equals. Costs a pullback of all
    /// rows for each rival.
    ///
    /// # Shapes
    /// `network` is at the points of `rows`; `rivals` holds for each of `rows` equally many classes,
    /// `labels` one for each sample of the whole batch.
    pub(crate) fn nearest(
        network: &dyn Linearized,
        rows: &[usize],
        labels: &[usize],
        rivals: &[&[usize]],
        norm: Norm,
        tiny: f64,
        region: Option<&Region>,
        found: &mut Nearest<'_>,
    ) -> Result<Self> {
        let logits = network.logits();
        let classes = logits.shape().last().copied().unwrap_or(1).max(1);
        let values = logits.host();
        let n = rows.len();
        let mut boundaries = Self {
            gaps: vec![f64::NAN; n],
            distances: vec![f64::INFINITY; n],
            sizes: vec![0.0; n],
            known: vec![false; n],
            normals: Vec::new(),
        };
        for index in 0..rivals.first().map_or(0, |rivals| rivals.len()) {
            // u = e_k − e_y
            let mut seed = vec![0.0; values.len()];
            for (slot, &row) in rows.iter().enumerate() {
                seed[slot * classes + rivals[slot][index]] += 1.0;
                seed[slot * classes + labels[row]] -= 1.0;
            }
            let gradients = network.pullback(&Tensor::new(logits.shape(), seed)?)?;
            let gradients = restrict(region, rows, gradients)?;
            let directed = found.note_gradients(rows, &gradients)?;
            let gradients = gradients.host();
            boundaries.normals.resize(gradients.len(), 0.0);
            let length = gradients.len() / n.max(1);
            for (slot, &row) in rows.iter().enumerate() {
                let range = slot * length..(slot + 1) * length;
                let logit = |class: usize| f64::from(values[slot * classes + class]);
                let gap = logit(rivals[slot][index]) - logit(labels[row]);
                if !(directed[slot] && gap.is_finite()) {
                    continue;
                }
                let normal = &gradients[range.clone()];
                let size = norm.dual().of(normal.iter().map(|&w| f64::from(w)));
                let distance = gap.abs() / (size + tiny);
                if distance < boundaries.distances[slot] {
                    boundaries.known[slot] = true;
                    boundaries.gaps[slot] = gap;
                    boundaries.distances[slot] = distance;
                    boundaries.sizes[slot] = size;
                    boundaries.normals[range].copy_from_slice(normal);
                }
            }
        }
        Ok(boundaries)
    }

    /// w of the sample at `slot`.
    pub(crate) fn normal(&self, slot: usize) -> &[f32] {
        let length = self.normals.len() / self.known.len().max(1);
        &self.normals[slot * length..(slot + 1) * length]
    }

    /// The slots with a hyperplane; the others cannot move any more.
    pub(crate) fn known_slots(&self) -> Vec<usize> {
        (0..self.known.len()).filter(|&slot| self.known[slot]).collect()
    }
}

/// For each sample the classes other than its label, by falling logit.
pub(crate) fn rivals(labels: &[usize], logits: &Tensor) -> Vec<Vec<usize>> {
    let classes = logits.shape().last().copied().unwrap_or(1).max(1);
    let others = |(row, &label): (&[f32], &usize)| {
        descending(row).into_iter().filter(|&class| class != label).collect()
    };
    logits.host().chunks_exact(classes).zip(labels).map(others).collect()
}
