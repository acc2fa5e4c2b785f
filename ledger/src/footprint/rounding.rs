//! Exact shares of integers: 128 bits where the product fits, 256 where it does not.

use super::Overflow;
use alloc::vec::Vec;
use ethnum::I256;

/// Shares of a value by weights that add up to `total`: the floor of each, and what is left over to
/// the largest remainders, ties by order.
pub(super) fn largest_remainder(
    value: i128,
    weights: impl ExactSizeIterator<Item = u128>,
    total: u128,
) -> Result<Vec<i128>, Overflow> {
    let mut shares = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    let mut rest = value;
    for (index, weight) in weights.enumerate() {
        let (share, remainder) = floor_share(value, weight, total)?;
        // Exact however far it wraps on the way: what is left in the end is small.
        rest = rest.wrapping_sub(share);
        shares.push(share);
        remainders.push((remainder, index));
    }
    // `rest` is the sum of the remainders divided by `total`, hence below the number of weights.
    let left_over = usize::try_from(rest).map_err(|_| Overflow)?;
    if left_over > 0 {
        remainders.sort_unstable_by(|(a, i), (b, j)| b.cmp(a).then(i.cmp(j)));
    }
    for (_, index) in remainders.into_iter().take(left_over) {
        shares[index] = shares[index].checked_add(1).ok_or(Overflow)?;
    }
    Ok(shares)
}

/// `value * weight / total`, rounded down, and the remainder.
fn floor_share(value: i128, weight: u128, total: u128) -> Result<(i128, u128), Overflow> {
    let narrow = i128::try_from(weight).ok().and_then(|weight| value.checked_mul(weight));
    match (narrow, u64::try_from(total), i128::try_from(total)) {
        (Some(product), Ok(total), _) => {
            let (share, remainder) = floor_div(product, total);
            return Ok((share, u128::from(remainder)));
        }
        (Some(product), _, Ok(total)) => {
            let remainder = product.rem_euclid(total).unsigned_abs();
            return Ok((product.div_euclid(total), remainder));
        }
        _ => {}
    }
    let product = I256::from(value) * I256::from(weight);
    let total = I256::from(total);
    let remainder = u128::try_from(product.rem_euclid(total)).map_err(|_| Overflow)?;
    Ok((to_i128(product.div_euclid(total))?, remainder))
}

/// Shares of a value in proportion to what `parts` carry, adding up to the value: `None` where the
/// parts say nothing of it, because they add up to nothing or are of both signs.
pub(crate) fn in_proportion(value: i128, parts: &[i128]) -> Option<Vec<i128>> {
    let negative = parts.iter().any(|part| *part < 0);
    if negative && parts.iter().any(|part| *part > 0) {
        return None;
    }
    let weights = parts.iter().map(|part| part.unsigned_abs());
    let total = weights.clone().try_fold(0_u128, |sum, weight| sum.checked_add(weight))?;
    if total == 0 {
        return None;
    }
    if value.unsigned_abs() == total && (value < 0) == negative {
        return Some(parts.to_vec());
    }
    largest_remainder(value, weights, total).ok()
}

fn to_i128(value: I256) -> Result<i128, Overflow> {
    i128::try_from(value).map_err(|_| Overflow)
}

/// `value * part / whole`, rounded down.
pub(crate) fn mul_div_floor(value: i128, part: u64, whole: u64) -> Result<i128, Overflow> {
    if whole == 0 {
        return Err(Overflow);
    }
    // As a rule the product fits 128 bits, and the division costs a tenth.
    if let Some(product) = value.checked_mul(i128::from(part)) {
        return Ok(floor_div(product, whole).0);
    }
    to_i128((I256::from(value) * I256::from(part)).div_euclid(I256::from(whole)))
}

/// Quotient, rounded down, and remainder. The divisor is not zero.
fn floor_div(value: i128, divisor: u64) -> (i128, u64) {
    // Most values fit 64 bits, for which the processor has an instruction.
    if let (Ok(value), Ok(divisor)) = (i64::try_from(value), i64::try_from(divisor)) {
        let remainder = value.rem_euclid(divisor);
        return (i128::from(value.div_euclid(divisor)), remainder.unsigned_abs());
    }
    let divisor = i128::from(divisor);
    // The remainder of a division by 64 bits has 64 bits.
    (value.div_euclid(divisor), value.rem_euclid(divisor) as u64)
}

/// `value * amount / reference`, rounded half to even.
pub(crate) fn mul_div_half_even(
    value: i128,
    amount: u64,
    reference: u64,
) -> Result<i128, Overflow> {
    if reference == 0 {
        return Err(Overflow);
    }
    if let Some(product) = value.checked_mul(i128::from(amount)) {
        let (floor, rest) = floor_div(product, reference);
        let twice = u128::from(rest) * 2;
        let up = twice > u128::from(reference)
            || (twice == u128::from(reference) && floor.rem_euclid(2) == 1);
        return floor.checked_add(i128::from(up)).ok_or(Overflow);
    }
    let reference = I256::from(reference);
    let product = I256::from(value) * I256::from(amount);
    let floor = product.div_euclid(reference);
    let twice = product.rem_euclid(reference) * I256::from(2u8);
    let up = twice > reference || (twice == reference && floor % I256::from(2u8) != I256::ZERO);
    to_i128(floor + if up { I256::ONE } else { I256::ZERO })
}
