use super::dice::Dice;

/// How a whole HTTP answer is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// As it is.
    Whole,
    /// With a status that is not success, perhaps with Retry-After, and a page of HTML.
    Status(u16, Option<&'static str>),
    /// With success and a page of HTML.
    Html,
    /// With success and any bytes, or none.
    Garbage(Vec<u8>),
    /// The connection ends in the middle.
    Cut,
    /// After the asker's patience has ended.
    Late,
    /// Without one of the answers of a batch.
    Short,
    /// With the answers of a batch in another order, as is allowed.
    Shuffled,
}

impl Delivery {
    /// Some way to fail.
    pub(super) fn thrown(dice: &mut Dice) -> Self {
        match dice.place(16) {
            0 => Self::Status(429, None),
            1 => Self::Status(429, Some("0")),
            2 => Self::Status(500, None),
            3 => Self::Status(502, None),
            4 => Self::Status(503, None),
            5 => Self::Status(413, None),
            6 => Self::Html,
            7 => Self::Garbage(dice.bytes(200)),
            8 | 9 => Self::Cut,
            10 => Self::Late,
            11 | 12 => Self::Short,
            _ => Self::Shuffled,
        }
    }
}
