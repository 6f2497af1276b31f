//! An encoder for COPY's binary format (PostgreSQL documentation, COPY, "Binary Format"), which sqlx leaves to its users.

use alloy::primitives::B256;

use super::Error;

/// Object id of the type bytea, fixed in PostgreSQL's catalog (`pg_type.dat`).
const BYTEA: i32 = 17;
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// Rows for one COPY, in memory.
pub(super) struct Copy(Vec<u8>);

impl Copy {
    pub(super) fn new() -> Self {
        let mut bytes = SIGNATURE.to_vec();
        // No flags, no header extension.
        bytes.extend([0; 8]);
        Self(bytes)
    }

    /// Begins a row of so many fields.
    pub(super) fn row(&mut self, fields: usize) -> Result<(), Error> {
        let fields = i16::try_from(fields).map_err(Error::unreadable("a row to be copied"))?;
        self.0.extend(fields.to_be_bytes());
        Ok(())
    }

    pub(super) fn bigint(&mut self, value: i64) {
        self.0.extend(8_i32.to_be_bytes());
        self.0.extend(value.to_be_bytes());
    }

    pub(super) fn bytes(&mut self, value: &[u8]) -> Result<(), Error> {
        self.0.extend(length(value.len())?.to_be_bytes());
        self.0.extend(value);
        Ok(())
    }

    /// An array of bytea: dimensions, whether there are nulls, element type, then per dimension size and lower bound.
    pub(super) fn byte_arrays(&mut self, values: &[B256]) -> Result<(), Error> {
        let mut array = Vec::with_capacity(20 + 36 * values.len());
        let dimensions: i32 = i32::from(!values.is_empty());
        for word in [dimensions, 0, BYTEA] {
            array.extend(word.to_be_bytes());
        }
        if !values.is_empty() {
            array.extend(length(values.len())?.to_be_bytes());
            array.extend(1_i32.to_be_bytes());
        }
        for value in values {
            array.extend(length(value.len())?.to_be_bytes());
            array.extend(value.as_slice());
        }
        self.bytes(&array)
    }

    /// The bytes, with the trailer.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.extend((-1_i16).to_be_bytes());
        self.0
    }
}

fn length(value: usize) -> Result<i32, Error> {
    i32::try_from(value).map_err(Error::unreadable("a row to be copied"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_laid_out_as_documented() {
        let mut copy = Copy::new();
        copy.row(3).unwrap();
        copy.bigint(258);
        copy.bytes(&[7]).unwrap();
        copy.byte_arrays(&[]).unwrap();
        let bytes = copy.finish();
        let expected = [
            &b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"[..],
            &[0, 3],
            &[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 1, 2],
            &[0, 0, 0, 1, 7],
            &[0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 17],
            &[0xff, 0xff],
        ]
        .concat();
        assert_eq!(bytes, expected);
    }
}
