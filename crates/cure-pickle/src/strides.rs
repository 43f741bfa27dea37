//! Strided layouts, shared by NumPy and PyTorch arrays.

/// Calls `visit` with the offset of every element, in row-major order of the index. The caller has
/// checked that the offsets (`Σ (extent − 1)·stride` at most) do not overflow.
pub(crate) fn for_each_offset(shape: &[usize], strides: &[usize], mut visit: impl FnMut(usize)) {
    if shape.contains(&0) {
        return;
    }
    let mut index = vec![0; shape.len()];
    let mut offset = 0;
    loop {
        visit(offset);
        // Count up like an odometer, the last axis fastest.
        let mut axis = shape.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            if index[axis] < shape[axis] {
                offset += strides[axis];
                break;
            }
            offset -= (shape[axis] - 1) * strides[axis];
            index[axis] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::for_each_offset;

    fn offsets(shape: &[usize], strides: &[usize]) -> Vec<usize> {
        let mut offsets = Vec::new();
        for_each_offset(shape, strides, |offset| offsets.push(offset));
        offsets
    }

    #[test]
    fn row_major_order_of_the_index() {
        assert_eq!(offsets(&[2, 3], &[3, 1]), [0, 1, 2, 3, 4, 5]);
        assert_eq!(offsets(&[2, 3], &[1, 2]), [0, 2, 4, 1, 3, 5]);
        assert_eq!(offsets(&[2, 1, 2], &[10, 7, 1]), [0, 1, 10, 11]);
        assert_eq!(offsets(&[], &[]), [0]);
        assert_eq!(offsets(&[3, 0], &[1, 1]), [0; 0]);
    }
}
