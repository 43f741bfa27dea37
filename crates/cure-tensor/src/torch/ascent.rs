use tch::Kind;

use super::made;
use crate::{Result, Tensor};

pub(crate) fn sign_step(
    points: &Tensor,
    centres: &Tensor,
    gradients: &Tensor,
    step: f64,
    limit: f64,
) -> Result<Tensor> {
    let found = || {
        let centres = centres.torch()?;
        let wide = centres.f_to_kind(Kind::Double)?;
        let step = gradients.torch()?.f_sign()?.f_to_kind(Kind::Double)?.f_mul_scalar(step)?;
        let change = points.torch()?.f_to_kind(Kind::Double)?.f_sub(&wide)?.f_add(&step)?;
        let point = wide.f_add(&change.f_clamp(-limit, limit)?)?.f_to_kind(Kind::Float)?;
        let is_out = point.f_to_kind(Kind::Double)?.f_sub(&wide)?.f_abs()?.f_gt(limit)?;
        point.f_nextafter(&centres)?.f_where_self(&is_out, &point)?.f_clamp(0.0, 1.0)
    };
    made("sign_step", found())
}
