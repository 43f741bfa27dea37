use cure_tensor::Tensor;
use cure_tensor::ops::{self, ChannelSum};

use super::{At, Kept, Primitive, Second, finish, masked, to_f32, vector};
use crate::error::Result;
use crate::linearization::Moments;
use crate::ranks::Ranks;

/// y = γ x̂ + β with x̂ = (x − m)/σ, the mean m and σ² = variance + ε taken over the batch (Ioffe
/// & Szegedy 2015). Samples of a batch see each other through m and σ, in every rule: where ranks
/// share the batch, every mean is over all their samples.
///
/// With ⟨·⟩ the mean over a channel and P a = a − ⟨a⟩ − x̂⟨x̂ a⟩ (symmetric), the derivative of x̂ is
/// P/σ. The rules below are per-channel linear combinations whose coefficients are a few means.
pub(crate) struct BatchNormalization {
    pub(crate) scale: Vec<f32>,
    pub(crate) shift: Vec<f32>,
    pub(crate) epsilon: f64,
    pub(crate) ranks: Ranks,
}

/// The statistics of a batch, and sums and means against x̂.
struct Normalized<'a> {
    x: &'a Tensor,
    mean: Vec<f64>,
    inverse: Vec<f64>,
    count: f64,
    ranks: &'a Ranks,
}

impl Normalized<'_> {
    /// Σ a and Σ x̂ a of each channel, over this rank's samples.
    fn sums(&self, a: &Tensor) -> Result<[Vec<f64>; 2]> {
        let centre = to_f32(&self.mean);
        let [plain, with] = ops::channel_sums([ChannelSum::of(a), self.with(&centre, a)])?;
        Ok([plain, self.scaled(with)])
    }

    /// The sum of (x − m) a.
    fn with<'b>(&'b self, centre: &'b [f32], a: &'b Tensor) -> ChannelSum<'b> {
        ChannelSum::of(self.x).about(centre).times(a)
    }

    /// Sums with x̂, from those with x − m.
    fn scaled(&self, mut sums: Vec<f64>) -> Vec<f64> {
        sums.iter_mut().zip(&self.inverse).for_each(|(sum, inverse)| *sum *= inverse);
        sums
    }

    /// Means over the whole batch, from this rank's sums.
    fn means<const N: usize>(&self, sums: [Vec<f64>; N]) -> [Vec<f64>; N] {
        let channels = self.mean.len();
        let mut all = sums.concat();
        self.ranks.sum(&mut all);
        all.iter_mut().for_each(|sum| *sum /= self.count);
        std::array::from_fn(|which| all[which * channels..(which + 1) * channels].to_vec())
    }

    /// What second order needs of ẋ and λ: this rank's sums of ẋ, x̂ẋ, λ, x̂λ and ẋλ.
    fn sums_of_second(&self, second: &Second<'_>) -> Result<[Vec<f64>; 5]> {
        let (x_dot, lambda) = (second.tangents[0], second.lambda);
        let centre = to_f32(&self.mean);
        let [dot, with_dot, plain, with_lambda, dot_lambda] = ops::channel_sums([
            ChannelSum::of(x_dot),
            self.with(&centre, x_dot),
            ChannelSum::of(lambda),
            self.with(&centre, lambda),
            ChannelSum::of(x_dot).times(lambda),
        ])?;
        Ok([dot, self.scaled(with_dot), plain, self.scaled(with_lambda), dot_lambda])
    }

    /// Σᵢ cᵢ tᵢ + h x̂ + k, each coefficient per channel.
    fn combine(
        &self,
        terms: &[(&Tensor, Vec<f64>)],
        with_normalized: &[f64],
        constant: &[f64],
    ) -> Result<Tensor> {
        let mut coefficients: Vec<Vec<f32>> = terms.iter().map(|(_, c)| to_f32(c)).collect();
        let of_x: Vec<f64> =
            with_normalized.iter().zip(&self.inverse).map(|(h, inverse)| h * inverse).collect();
        let constant: Vec<f64> =
            constant.iter().zip(&of_x).zip(&self.mean).map(|((k, c), mean)| k - c * mean).collect();
        coefficients.push(to_f32(&of_x));
        let tensors = terms.iter().map(|&(tensor, _)| tensor).chain([self.x]);
        let all: Vec<(&Tensor, &[f32])> =
            tensors.zip(coefficients.iter().map(Vec::as_slice)).collect();
        Ok(ops::channel_combination(&all, &to_f32(&constant))?)
    }
}

impl BatchNormalization {
    fn normalized<'a>(&'a self, at: &At<'a>) -> Normalized<'a> {
        let (mean, variance, count) = match at.kept {
            Kept::Moments(moments) => (moments.mean.clone(), &*moments.variance, moments.count),
            Kept::Nothing => (vec![0.0; self.scale.len()], [].as_slice(), 1),
        };
        let inverse = variance.iter().map(|v| 1.0 / (v + self.epsilon).sqrt()).collect();
        Normalized { x: at.inputs[0], mean, inverse, count: count as f64, ranks: &self.ranks }
    }

    /// Of the whole batch: n ⟨(x − m)²⟩ is the sum over the ranks of nᵣ (vᵣ + (mᵣ − m)²).
    fn moments(&self, x: &Tensor) -> Result<Moments> {
        let (mut mean, mut variance) = ops::channel_moments(x)?;
        let here = (x.len() / mean.len().max(1)) as f64;
        let own = mean.clone();
        let mut sums: Vec<f64> = own.iter().map(|mean| here * mean).chain([here]).collect();
        self.ranks.sum(&mut sums);
        let count = sums.pop().unwrap_or(here);
        if count > here {
            mean = sums.iter().map(|sum| sum / count).collect();
            let about = |(v, (own, mean)): (&f64, (&f64, &f64))| here * (v + (own - mean).powi(2));
            variance = variance.iter().zip(own.iter().zip(&mean)).map(about).collect();
            self.ranks.sum(&mut variance);
            variance.iter_mut().for_each(|sum| *sum /= count);
        }
        Ok(Moments { mean, variance, count: count as usize })
    }

    fn channels(&self, f: impl Fn(usize) -> f64) -> Vec<f64> {
        (0..self.scale.len()).map(f).collect()
    }

    /// γ/σ of a channel.
    fn slope(&self, n: &Normalized<'_>, channel: usize) -> f64 {
        f64::from(self.scale[channel]) * n.inverse[channel]
    }

    /// γ/σ · P a, the tangent and the pull back alike.
    fn project(&self, n: &Normalized<'_>, a: &Tensor) -> Result<Tensor> {
        let [mean, with] = n.means(n.sums(a)?);
        n.combine(
            &[(a, self.channels(|c| self.slope(n, c)))],
            &self.channels(|c| -self.slope(n, c) * with[c]),
            &self.channels(|c| -self.slope(n, c) * mean[c]),
        )
    }
}

impl Primitive for BatchNormalization {
    fn value(&self, inputs: &[&Tensor], relu: bool) -> Result<(Tensor, Kept)> {
        let kept = Kept::Moments(self.moments(inputs[0])?);
        let n = self.normalized(&At { inputs, kept: &kept });
        let slope = self.channels(|c| self.slope(&n, c));
        let shift = self.channels(|c| f64::from(self.shift[c]) - slope[c] * n.mean[c]);
        let value = ops::channel_combination(&[(inputs[0], &to_f32(&slope))], &to_f32(&shift))?;
        Ok((finish(value, relu), kept))
    }

    fn tangent(&self, at: &At<'_>, tangents: &[&Tensor], mask: Option<&Tensor>) -> Result<Tensor> {
        masked(self.project(&self.normalized(at), tangents[0])?, mask)
    }

    fn pullback(&self, at: &At<'_>, g: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![self.project(&self.normalized(at), g)?])
    }

    /// The derivative of λₓ = (γ/σ)(λ − ⟨λ⟩ − x̂⟨x̂λ⟩) along ẋ. With q = ⟨x̂ẋ⟩ the derivative of σ
    /// is q and that of x̂ is x̂′ = (ẋ − ⟨ẋ⟩ − x̂q)/σ, so
    /// μₓ = (γ/σ) [ μ − ⟨μ⟩ − x̂⟨x̂μ⟩ − (q/σ)(λ − ⟨λ⟩ − x̂⟨x̂λ⟩) − x̂′⟨x̂λ⟩ − x̂⟨x̂′λ⟩ ].
    fn second_order(&self, at: &At<'_>, second: &Second<'_>, mu: &Tensor) -> Result<Vec<Tensor>> {
        let n = self.normalized(at);
        let (x_dot, lambda) = (second.tangents[0], second.lambda);
        let [mean_mu, with_mu] = n.means(n.sums(mu)?);
        let [mean_dot, q, mean_lambda, with_lambda, dot_lambda] =
            n.means(n.sums_of_second(second)?);
        let inverse = &n.inverse;
        // ⟨x̂′λ⟩
        let moved = self.channels(|c| {
            inverse[c] * (dot_lambda[c] - mean_dot[c] * mean_lambda[c] - q[c] * with_lambda[c])
        });
        let slope = self.channels(|c| self.slope(&n, c));
        let input = n.combine(
            &[
                (mu, slope.clone()),
                (lambda, self.channels(|c| -slope[c] * q[c] * inverse[c])),
                (x_dot, self.channels(|c| -slope[c] * inverse[c] * with_lambda[c])),
            ],
            &self.channels(|c| {
                slope[c] * (-with_mu[c] + 2.0 * q[c] * inverse[c] * with_lambda[c] - moved[c])
            }),
            &self.channels(|c| {
                let drift = q[c] * mean_lambda[c] + with_lambda[c] * mean_dot[c];
                slope[c] * (-mean_mu[c] + inverse[c] * drift)
            }),
        )?;
        Ok(vec![input])
    }

    /// Scale, then shift: ∂γ = Σ x̂ g at first order, Σ (x̂ μ + x̂′ λ) at second; ∂β = Σ g. The sums
    /// are over this rank's samples, as those of every other parameter.
    fn parameter_gradient(
        &self,
        at: &At<'_>,
        g: &Tensor,
        second: Option<&Second<'_>>,
    ) -> Result<Vec<Tensor>> {
        let n = self.normalized(at);
        let [shift, mut scale] = n.sums(g)?;
        if let Some(second) = second {
            let [dot, with_dot, lambda, with_lambda, dot_lambda] = n.sums_of_second(second)?;
            let [mean_dot, q] = n.means([dot, with_dot]);
            for (c, scale) in scale.iter_mut().enumerate() {
                *scale += n.inverse[c]
                    * (dot_lambda[c] - mean_dot[c] * lambda[c] - q[c] * with_lambda[c]);
            }
        }
        Ok(vec![vector(to_f32(&scale))?, vector(to_f32(&shift))?])
    }
}
