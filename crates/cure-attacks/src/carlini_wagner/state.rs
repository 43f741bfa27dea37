//! One sample on its way: Adam in the space of arctanh(2x − 1).

/// Shrinks 2x − 1 so that its arctanh is finite, as by the authors.
const INSIDE: f64 = 0.999999;
/// A loss over this share of the one a tenth of the steps ago is no progress.
const PROGRESS: f64 = 0.9999;
/// Kingma and Ba 2015.
const BETA: [f64; 2] = [0.9, 0.999];
const TINY: f64 = 1e-8;

/// One sample on its way at one constant.
pub(super) struct State {
    pub(super) row: usize,
    constant: f64,
    /// x₀, there and back through arctanh.
    center: Vec<f64>,
    /// w.
    position: Vec<f64>,
    /// x.
    pub(super) pixels: Vec<f64>,
    /// Adam's running means of the gradient and of its square.
    mean: Vec<f64>,
    square: Vec<f64>,
    /// The loss when it was last checked.
    loss: f64,
}

impl State {
    pub(super) fn new(row: usize, constant: f64, image: &[f32]) -> Self {
        let position: Vec<f64> =
            image.iter().map(|&x| ((2.0 * f64::from(x) - 1.0) * INSIDE).atanh()).collect();
        let pixels: Vec<f64> = position.iter().map(|w| 0.5 * w.tanh() + 0.5).collect();
        let zeros = vec![0.0; image.len()];
        Self {
            row,
            constant,
            center: pixels.clone(),
            position,
            pixels,
            mean: zeros.clone(),
            square: zeros,
            loss: f64::INFINITY,
        }
    }

    /// Whether the loss has fallen enough since it was last checked; `missing` is what the margin
    /// lacks.
    pub(super) fn progressed(&mut self, missing: f64) -> bool {
        let apart = self.pixels.iter().zip(&self.center).map(|(x, center)| (x - center).powi(2));
        let loss = apart.sum::<f64>() + self.constant * missing;
        let progressed = self.loss.is_infinite() || loss <= PROGRESS * self.loss;
        self.loss = loss;
        progressed
    }

    /// One step of Adam; `gradient` is the margin's, none where the margin is reached.
    pub(super) fn step(&mut self, step: usize, rate: f64, gradient: Option<&[f32]>) {
        let time = i32::try_from(step + 1).unwrap_or(i32::MAX);
        let unbiased = BETA.map(|beta| 1.0 / (1.0 - beta.powi(time)));
        for i in 0..self.pixels.len() {
            let toward_class = gradient.map_or(0.0, |gradient| f64::from(gradient[i]));
            let x = self.pixels[i];
            // dx/dw = (1 − tanh²)/2 = 2x(1 − x)
            let slope =
                (2.0 * (x - self.center[i]) - self.constant * toward_class) * 2.0 * x * (1.0 - x);
            self.mean[i] += (1.0 - BETA[0]) * (slope - self.mean[i]);
            self.square[i] += (1.0 - BETA[1]) * (slope * slope - self.square[i]);
            let size = (self.square[i] * unbiased[1]).sqrt() + TINY;
            self.position[i] -= rate * self.mean[i] * unbiased[0] / size;
            self.pixels[i] = 0.5 * self.position[i].tanh() + 0.5;
        }
    }
}
