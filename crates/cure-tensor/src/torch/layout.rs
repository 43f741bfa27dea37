use super::{made, upload};
use crate::{Result, Tensor};

/// The first two dimensions exchanged: a view.
pub(crate) fn exchange(operation: &'static str, x: &Tensor) -> Result<Tensor> {
    let found = || x.torch()?.f_transpose(0, 1);
    made(operation, found())
}

pub(crate) fn flatten(x: &Tensor, [c, n, h, w]: [usize; 4]) -> Result<Tensor> {
    let found = || {
        let features = x.torch()?.f_permute([0, 2, 3, 1])?;
        features.f_reshape([(c * h * w) as i64, n as i64, 1, 1])
    };
    made("flatten", found())
}

pub(crate) fn unflatten(x: &Tensor, [c, n, h, w]: [usize; 4]) -> Result<Tensor> {
    let found = || {
        let split = x.torch()?.f_reshape([c, h, w, n].map(|side| side as i64))?;
        split.f_permute([0, 3, 1, 2])
    };
    made("unflatten", found())
}

pub(crate) fn select(x: &Tensor, positions: &[usize]) -> Result<Tensor> {
    let found = || {
        let positions: Vec<i64> = positions.iter().map(|&position| position as i64).collect();
        x.torch()?.f_index_select(0, &upload(&positions)?)
    };
    made("select", found())
}

pub(crate) fn replace_rows(x: &Tensor, positions: &[usize], rows: &Tensor) -> Result<Tensor> {
    let found = || {
        let positions: Vec<i64> = positions.iter().map(|&position| position as i64).collect();
        x.torch()?.f_index_copy(0, &upload(&positions)?, &rows.torch()?)
    };
    made("replace_rows", found())
}

pub(crate) fn concatenate(parts: &[&Tensor]) -> Result<Tensor> {
    let found = || {
        let parts = parts.iter().map(|part| part.torch()).collect::<super::Made<Vec<_>>>()?;
        tch::Tensor::f_cat(&parts, 0)
    };
    made("concatenate", found())
}
