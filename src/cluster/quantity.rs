/// A quantity as Kubernetes writes it, exact, in thousandths of its unit: `500m` is 500, `1Gi` is 1,073,741,824,000.
///
/// Source of the grammar: Kubernetes API reference, "Quantity". Parts smaller than a thousandth are rounded up, as Kubernetes does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Quantity(u128);

/// A text that should have been a quantity.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a quantity such as 500m, 2 or 1Gi")]
pub struct BadQuantity(String);

impl Quantity {
    /// The quantity in whole units, rounded up; `u64::MAX` when it is larger.
    pub(super) fn whole(self) -> u64 {
        u64::try_from(self.0.div_ceil(1000)).unwrap_or(u64::MAX)
    }
}

impl std::str::FromStr for Quantity {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| BadQuantity(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Quantity> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 18 {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let (multiplier, divisor) = scale(suffix)?;
    let denominator = 10_u128
        .checked_pow(u32::try_from(fraction.len()).ok()?)?
        .checked_mul(divisor)?;
    let numerator = digits.checked_mul(multiplier)?.checked_mul(1000)?;
    Some(Quantity(numerator.div_ceil(denominator)))
}

/// Multiplier and divisor of a suffix.
fn scale(suffix: &str) -> Option<(u128, u128)> {
    let binary = |power: u32| Some((1_u128 << (10 * power), 1));
    let decimal = |power: u32| Some((10_u128.pow(power), 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1000)),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => exponent(suffix),
    }
}

fn exponent(suffix: &str) -> Option<(u128, u128)> {
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let power = 10_u128.checked_pow(exponent.unsigned_abs())?;
    Some(if exponent < 0 { (1, power) } else { (power, 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_one_quantity_are_equal() {
        let read = |text: &str| text.parse::<Quantity>().unwrap();
        assert_eq!(read("0.5"), read("500m"));
        assert_eq!(read("1Gi"), read("1024Mi"));
        assert_eq!(read("1.5Gi").whole(), 1_610_612_736);
        assert_eq!(read("2e3"), read("2k"));
        assert_eq!(read("1500m").whole(), 2);
        for wrong in ["", ".", "1 Gi", "-1", "1gi", "Gi", "1.2.3"] {
            assert!(wrong.parse::<Quantity>().is_err(), "{wrong}");
        }
    }
}
