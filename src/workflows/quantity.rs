use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A non-negative amount of a resource as Kubernetes writes it: `500m`, `1`, `1.5Gi`, `2e3`.
///
/// Quantities compare by value and display as they were written. Source of the form: "Quantity" in the Kubernetes API
/// reference (`<number><suffix>`; binary suffixes Ki to Ei, decimal ones n to E, or an exponent).
#[derive(Clone, Debug)]
pub struct Quantity {
    /// In billionths, the finest unit that the form knows.
    nano: u128,
    text: String,
}

impl Quantity {
    /// The whole units in it, rounded up: bytes for memory and disk.
    pub fn units(&self) -> u128 {
        self.nano.div_ceil(NANO)
    }

    /// The whole units in it, rounded up; `u64::MAX` when there are more.
    pub fn whole(&self) -> u64 {
        u64::try_from(self.units()).unwrap_or(u64::MAX)
    }

    /// The billionths in it, the same for every way to write it.
    pub const fn billionths(&self) -> u128 {
        self.nano
    }

    /// Whether it is nothing at all.
    pub fn is_zero(&self) -> bool {
        self.nano == 0
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

const NANO: u128 = 1_000_000_000;

impl FromStr for Quantity {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadQuantity(text.chars().take(40).collect());
        let end = text
            .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(bad());
        }
        let (factor, divisor) = scale(suffix).ok_or_else(bad)?;
        let digits: u128 = format!("0{whole}{fraction}").parse().map_err(|_| bad())?;
        let places = u32::try_from(fraction.len()).map_err(|_| bad())?;
        let divisor = 10_u128
            .checked_pow(places)
            .and_then(|tens| tens.checked_mul(divisor))
            .ok_or_else(bad)?;
        let nano = digits.checked_mul(factor).ok_or_else(bad)?;
        Ok(Self {
            nano: nano.div_ceil(divisor),
            text: text.to_owned(),
        })
    }
}

/// What a suffix multiplies by, in billionths, as a factor and a divisor.
fn scale(suffix: &str) -> Option<(u128, u128)> {
    let binary = |power: u32| 1_u128.checked_shl(power).map(|unit| (unit * NANO, 1));
    let decimal = |power: u32| Some((10_u128.checked_pow(power)? * NANO, 1));
    match suffix {
        "n" => Some((1, 1)),
        "u" => Some((1_000, 1)),
        "m" => Some((1_000_000, 1)),
        "" => Some((NANO, 1)),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => exponent(suffix),
    }
}

fn exponent(suffix: &str) -> Option<(u128, u128)> {
    let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let tens = 10_u128.checked_pow(power.unsigned_abs())?;
    if power < 0 {
        Some((NANO, tens))
    } else {
        Some((tens.checked_mul(NANO)?, 1))
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.nano.cmp(&other.nano)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    /// Takes text or a plain number, since both are found in documents.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QuantityVisitor)
    }
}

struct QuantityVisitor;

impl de::Visitor<'_> for QuantityVisitor {
    type Value = Quantity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a quantity such as \"500m\", 1 or \"1Gi\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Quantity, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Quantity, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Quantity, E> {
        self.visit_str(&number.to_string())
    }
}

/// A text that is no quantity, or one too large to be meant.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a quantity such as 500m, 1 or 1Gi")]
pub struct BadQuantity(String);

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(text: &str) -> Quantity {
        text.parse().unwrap()
    }

    #[test]
    fn quantities_compare_by_value() {
        let equal = [
            ("1", "1000m"),
            ("1Gi", "1024Mi"),
            ("1.5Gi", "1536Mi"),
            ("1e3", "1k"),
            ("5e-1", "500m"),
            (".5", "500m"),
            ("1.", "1"),
            ("128974848", "123Mi"),
            ("0", "0Ei"),
            ("1G", "1e9"),
            ("1T", "1e12"),
            ("1P", "1e15"),
            ("1E", "1e18"),
            ("1Ti", "1024Gi"),
            ("1Pi", "1024Ti"),
            ("1Ei", "1024Pi"),
        ];
        for (left, right) in equal {
            assert_eq!(quantity(left), quantity(right), "{left} {right}");
        }
        let ascending = [
            "1n", "1u", "1m", "999m", "1", "1k", "1Ki", "1M", "1Mi", "1Gi", "7Ei",
        ];
        for pair in ascending.windows(2) {
            assert!(quantity(pair[0]) < quantity(pair[1]), "{pair:?}");
        }
        assert_eq!(quantity("1500m").units(), 2);
        assert_eq!(quantity("2Gi").units(), 2 << 30);
        assert_eq!(quantity("2Gi").whole(), 2 << 30);
        assert_eq!(quantity("1e25").whole(), u64::MAX);
        assert_eq!(quantity("1500m").billionths(), 1_500_000_000);
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        let bad = [
            "",
            ".",
            "-1",
            "+1",
            "1 Gi",
            "1gi",
            "1KiB",
            "1.2.3",
            "Gi",
            "1e",
            "1e99",
            "99999999999999999999999999999999999999999",
            "1e-99",
            "١",
        ];
        for text in bad {
            assert!(text.parse::<Quantity>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn numbers_and_text_are_read_alike() {
        let read: Vec<Quantity> = serde_json::from_str(r#"[1, "1", 1.0, "1000m"]"#).unwrap();
        assert!(read.iter().all(|found| *found == quantity("1")));
        assert!(serde_json::from_str::<Quantity>("-1").is_err());
        assert!(serde_json::from_str::<Quantity>("null").is_err());
    }
}
