use std::fmt;
use std::str::FromStr;

/// A place in a list of rows that are ordered by `N` numbers. Opaque to people, so that it may come to hold something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor<const N: usize>(pub [i64; N]);

impl<const N: usize> fmt::Display for Cursor<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // How many numbers there are leads them: the cursor of one list is none of another.
        write!(f, "{N:02x}")?;
        self.0
            .iter()
            .try_for_each(|number| write!(f, "{number:016x}"))
    }
}

impl<const N: usize> FromStr for Cursor<N> {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes = alloy::hex::decode(text).map_err(|_| ())?;
        let (form, rest) = bytes.split_first().ok_or(())?;
        let (numbers, []) = rest.as_chunks::<8>() else {
            return Err(());
        };
        if usize::from(*form) != N || text.starts_with("0x") {
            return Err(());
        }
        let numbers: Vec<i64> = numbers
            .iter()
            .map(|bytes| i64::from_be_bytes(*bytes))
            .collect();
        if numbers.iter().any(|number| *number < 0) {
            return Err(());
        }
        numbers.try_into().map(Self).map_err(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_a_made_up_one_does_not() {
        let cursor = Cursor([7_000_000_001]);
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        let pair = Cursor([3, 0]);
        assert_eq!(pair.to_string().parse(), Ok(pair));
        for made_up in [
            "",
            "7",
            "02000000000000000a",
            "01ffffffffffffffff",
            "zz",
            "0x010000000000000001",
        ] {
            assert_eq!(made_up.parse::<Cursor<1>>(), Err(()), "{made_up}");
        }
        assert_eq!(pair.to_string().parse::<Cursor<1>>(), Err(()));
    }
}
