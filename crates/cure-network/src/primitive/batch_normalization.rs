use cure_tensor::ops::{self, ChannelSum};
use cure_tensor::{Numbers, Tensor};

use super::{At, Kept, Primitive, Second, finish, masked};
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
    pub(crate) scale: Numbers,
    pub(crate) shift: Numbers,
    pub(crate) epsilon: f64,
    pub(crate) ranks: Ranks,
}

/// The statistics of a batch, and sums and means against x̂.
struct Normalized<'a> {
    x: &'a Tensor,
    mean: Numbers,
    /// 1/σ.
    inverse: Numbers,
    /// γ.
    scale: &'a Numbers,
    count: f64,
    ranks: &'a Ranks,
}

impl Normalized<'_> {
    /// γ/σ.
    fn slope(&self) -> Numbers {
        self.scale * &self.inverse
    }

    /// Σ a and Σ x̂ a of each channel, over this rank's samples.
    fn sums(&self, a: &Tensor) -> Result<[Numbers; 2]> {
        if let Some(sums) = ops::batch_norm_sums(a, self.x, [&self.mean, &self.inverse])? {
            return Ok(sums);
        }
        let [plain, with] = ops::channel_sums([ChannelSum::of(a), self.with(a)])?;
        Ok([plain, with * &self.inverse])
    }

    /// The sum of (x − m) a.
    fn with<'b>(&'b self, a: &'b Tensor) -> ChannelSum<'b> {
        ChannelSum::of(self.x).about(&self.mean).times(a)
    }

    /// Means over the whole batch, from this rank's sums.
    fn means<const N: usize>(&self, sums: [Numbers; N]) -> [Numbers; N] {
        total(self.ranks, sums).map(|sum| sum * (1.0 / self.count))
    }

    /// What second order needs of ẋ and λ: this rank's sums of ẋ, x̂ẋ, λ, x̂λ and ẋλ.
    fn sums_of_second(&self, second: &Second<'_>) -> Result<[Numbers; 5]> {
        let (x_dot, lambda) = (second.tangents[0], second.lambda);
        let statistics = [&self.mean, &self.inverse];
        if let Some([dot, with_dot]) = ops::batch_norm_sums(x_dot, self.x, statistics)? {
            let [plain, with_lambda] = self.sums(lambda)?;
            let [dot_lambda] = ops::channel_sums([ChannelSum::of(x_dot).times(lambda)])?;
            return Ok([dot, with_dot, plain, with_lambda, dot_lambda]);
        }
        let [dot, with_dot, plain, with_lambda, dot_lambda] = ops::channel_sums([
            ChannelSum::of(x_dot),
            self.with(x_dot),
            ChannelSum::of(lambda),
            self.with(lambda),
            ChannelSum::of(x_dot).times(lambda),
        ])?;
        let inverse = &self.inverse;
        Ok([dot, with_dot * inverse, plain, with_lambda * inverse, dot_lambda])
    }

    /// Σᵢ cᵢ tᵢ + h x̂ + k, each coefficient per channel.
    fn combine(
        &self,
        terms: &[(&Tensor, &Numbers)],
        with_normalized: &Numbers,
        constant: &Numbers,
    ) -> Result<Tensor> {
        let of_x = with_normalized * &self.inverse;
        let constant = constant - &of_x * &self.mean;
        let all: Vec<(&Tensor, &Numbers)> =
            terms.iter().copied().chain([(self.x, &of_x)]).collect();
        Ok(ops::channel_combination(&all, Some(&constant))?)
    }

    /// γ/σ · P a, the tangent and the pull back alike.
    fn project(&self, a: &Tensor) -> Result<Tensor> {
        let statistics = [&self.mean, &self.inverse];
        if self.ranks.size() == 1
            && let Some(found) = ops::batch_norm_pullback(a, self.x, self.scale, statistics)?
        {
            return Ok(found);
        }
        let [mean, with] = self.means(self.sums(a)?);
        let slope = self.slope();
        let down = -&slope;
        self.combine(&[(a, &slope)], &(&down * with), &(down * mean))
    }
}

/// Sums over the ranks, in one message.
fn total<const N: usize>(ranks: &Ranks, sums: [Numbers; N]) -> [Numbers; N] {
    if ranks.size() == 1 {
        return sums;
    }
    let lengths = sums.each_ref().map(Numbers::len);
    let mut all: Vec<f64> = sums.iter().flat_map(Numbers::to_vec).collect();
    ranks.sum(&mut all);
    let mut rest = all.into_iter();
    lengths.map(|length| Numbers::new(rest.by_ref().take(length).collect()))
}

impl BatchNormalization {
    fn normalized<'a>(&'a self, at: &At<'a>) -> Normalized<'a> {
        let (mean, inverse, count) = match at.kept {
            Kept::Moments(Moments { mean, variance, count }) => {
                (mean.clone(), variance.inverse_root(self.epsilon), *count)
            }
            Kept::Nothing => {
                let none = || Numbers::full(self.scale.len(), 0.0);
                (none(), none(), 1)
            }
        };
        let (x, count) = (at.inputs[0], count as f64);
        Normalized { x, mean, inverse, scale: &self.scale, count, ranks: &self.ranks }
    }

    /// Of the whole batch: n ⟨(x − m)²⟩ is the sum over the ranks of nᵣ (vᵣ + (mᵣ − m)²).
    fn moments(&self, x: &Tensor) -> Result<Moments> {
        let (own, variance) = ops::channel_moments(x)?;
        let here = (x.len() / own.len().max(1)) as f64;
        if self.ranks.size() == 1 {
            return Ok(Moments { mean: own, variance, count: here as usize });
        }
        let [sum, count] = total(&self.ranks, [&own * here, Numbers::new(vec![here])]);
        let count = count.to_vec()[0];
        let mean = sum * (1.0 / count);
        let apart = &own - &mean;
        let [sum] = total(&self.ranks, [(variance + &apart * &apart) * here]);
        Ok(Moments { mean, variance: sum * (1.0 / count), count: count as usize })
    }
}

impl Primitive for BatchNormalization {
    fn value(&self, inputs: &[&Tensor], relu: bool) -> Result<(Tensor, Kept)> {
        if self.ranks.size() == 1
            && let Some((value, mean, variance)) =
                ops::batch_norm(inputs[0], &self.scale, &self.shift, self.epsilon)?
        {
            let count = inputs[0].len() / mean.len().max(1);
            return Ok((finish(value, relu), Kept::Moments(Moments { mean, variance, count })));
        }
        let kept = Kept::Moments(self.moments(inputs[0])?);
        let n = self.normalized(&At { inputs, kept: &kept });
        let slope = n.slope();
        let shift = &self.shift - &slope * &n.mean;
        let value = ops::channel_combination(&[(inputs[0], &slope)], Some(&shift))?;
        Ok((finish(value, relu), kept))
    }

    fn tangent(&self, at: &At<'_>, tangents: &[&Tensor], mask: Option<&Tensor>) -> Result<Tensor> {
        masked(self.normalized(at).project(tangents[0])?, mask)
    }

    fn pullback(&self, at: &At<'_>, g: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![self.normalized(at).project(g)?])
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
        let (slope, inverse) = (&n.slope(), &n.inverse);
        // ⟨x̂′λ⟩
        let moved = inverse * (dot_lambda - &mean_dot * &mean_lambda - &q * &with_lambda);
        let of_lambda = -slope * &q * inverse;
        let of_x_dot = -slope * inverse * &with_lambda;
        let of_normalized = slope * (&q * 2.0 * inverse * &with_lambda - with_mu - moved);
        let drift = &q * mean_lambda + with_lambda * mean_dot;
        let constant = slope * (inverse * drift - mean_mu);
        let terms = [(mu, slope), (lambda, &of_lambda), (x_dot, &of_x_dot)];
        Ok(vec![n.combine(&terms, &of_normalized, &constant)?])
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
            let moved = dot_lambda - mean_dot * lambda - q * with_lambda;
            scale = scale + &n.inverse * moved;
        }
        Ok(vec![scale.to_tensor(), shift.to_tensor()])
    }
}
