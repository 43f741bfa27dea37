//! Broken lines.

/// A line from one point to another.
type Piece = ((f64, f64), (f64, f64));

/// The dashes of a line, or all of it.
pub(super) fn dashed(from: (f64, f64), to: (f64, f64), dashes: &[f64]) -> Vec<Piece> {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy);
    if !dashes.iter().all(|&dash| dash >= 1.0) || dashes.len() < 2 || length <= 0.0 {
        return vec![(from, to)];
    }
    let at = |along: f64| {
        let share = (along / length).min(1.0);
        (from.0 + share * dx, from.1 + share * dy)
    };
    let (mut pieces, mut along) = (Vec::new(), 0.0);
    for pair in dashes.chunks(2).cycle() {
        if along >= length {
            break;
        }
        pieces.push((at(along), at(along + pair[0])));
        along += pair.iter().sum::<f64>();
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_end_with_the_line() {
        let pieces = dashed((0.0, 1.0), (10.0, 1.0), &[4.0, 3.0]);
        assert_eq!(pieces, [((0.0, 1.0), (4.0, 1.0)), ((7.0, 1.0), (10.0, 1.0))]);
        assert_eq!(dashed((0.0, 0.0), (1.0, 1.0), &[]), [((0.0, 0.0), (1.0, 1.0))]);
    }
}
