use crate::error::Result;

/// Where along each of `count` rays something first happens, as a share of the ray: at the first of
/// `points` places, evenly to 1, where it does, and then by `halvings` of the way from the place
/// before; none where it does at none of them. `happens` is asked of several rays at once, each at its
/// own share.
pub(crate) fn first(
    count: usize,
    points: usize,
    halvings: usize,
    happens: impl Fn(&[usize], &[f64]) -> Result<Vec<bool>>,
) -> Result<Vec<Option<f64>>> {
    let step = 1.0 / points as f64;
    // The last place before, for those where it happens.
    let mut low: Vec<Option<f64>> = vec![None; count];
    for point in 0..points {
        let open: Vec<usize> = (0..count).filter(|&ray| low[ray].is_none()).collect();
        let at = vec![step * (point + 1) as f64; open.len()];
        for (&ray, happens) in open.iter().zip(happens(&open, &at)?) {
            low[ray] = happens.then_some(step * point as f64);
        }
    }
    let found: Vec<usize> = (0..count).filter(|&ray| low[ray].is_some()).collect();
    let mut width = step;
    for _ in 0..halvings {
        width /= 2.0;
        let at: Vec<f64> = found.iter().map(|&ray| low[ray].unwrap_or(0.0) + width).collect();
        for ((&ray, &at), happens) in found.iter().zip(&at).zip(happens(&found, &at)?) {
            if !happens {
                low[ray] = Some(at);
            }
        }
    }
    Ok(low.into_iter().map(|low| low.map(|low| low + width)).collect())
}
