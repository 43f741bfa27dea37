use cure_network::Linearized;

use super::{Hessian, check};
use crate::error::Result;
use crate::losses::Losses;

/// H v by the R-operator: exact, and what the finite difference tends to as h → 0 where the loss is
/// smooth at x. Cost: 2 passes a direction for piecewise linear networks, 4 for smooth ones; the
/// passes of the samples themselves are made once for as long as their rows stay the same.
pub struct Exact<'a> {
    losses: &'a Losses<'a>,
    /// The rows that were linearized last.
    kept: Option<(Vec<usize>, Box<dyn Linearized + 'a>)>,
}

impl<'a> Exact<'a> {
    /// The operator at these samples.
    pub fn new(losses: &'a Losses<'a>) -> Self {
        Self { losses, kept: None }
    }
}

impl Hessian for Exact<'_> {
    fn samples(&self) -> usize {
        self.losses.samples()
    }

    fn dimension(&self) -> usize {
        self.losses.dimension()
    }

    fn apply(&mut self, rows: &[usize], directions: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        check(self, rows, directions)?;
        let mut found = Vec::with_capacity(rows.len());
        let batch = self.losses.batch();
        for (rows, directions) in rows.chunks(batch).zip(directions.chunks(batch)) {
            let network = match self.kept.take() {
                Some((kept, network)) if kept == rows => network,
                _ => self.losses.linearize(rows)?,
            };
            let along = self.losses.directions(directions)?;
            let product = network.hessian_vector(&self.losses.labels_of(rows), &along)?;
            found.extend(self.losses.rows(&product));
            self.kept = Some((rows.to_vec(), network));
        }
        Ok(found)
    }
}
