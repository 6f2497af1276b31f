//! An encoder for COPY's binary format (PostgreSQL documentation, COPY, "Binary Format"), which sqlx leaves to its users.

use alloy::primitives::{B256, U256};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use super::{Attempt, Error};

/// Rows from which on copying beats an INSERT by more than its round trips cost.
pub(super) const MANY: usize = 64;
/// Bytes that are handed to a connection at once.
const PIECE: usize = 256 << 10;
/// Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01 (PostgreSQL documentation, "Date/Time Types").
const EPOCH: i64 = 946_684_800_000_000;
/// Version byte of jsonb's binary form (`jsonb_recv` in PostgreSQL's `jsonb.c`).
const JSONB: u8 = 1;
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

    pub(super) fn integer(&mut self, value: i32) {
        self.0.extend(4_i32.to_be_bytes());
        self.0.extend(value.to_be_bytes());
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.0.extend(1_i32.to_be_bytes());
        self.0.push(value.into());
    }

    pub(super) fn null(&mut self) {
        self.0.extend((-1_i32).to_be_bytes());
    }

    pub(super) fn text(&mut self, value: &str) -> Result<(), Error> {
        self.bytes(value.as_bytes())
    }

    /// A field, or a null in its place.
    pub(super) fn optional<T>(
        &mut self,
        value: Option<T>,
        write: impl FnOnce(&mut Self, T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if let Some(value) = value {
            return write(self, value);
        }
        self.null();
        Ok(())
    }

    /// A timestamptz, in whole microseconds.
    pub(super) fn time(&mut self, value: DateTime<Utc>) {
        self.bigint(value.timestamp_micros() - EPOCH);
    }

    pub(super) fn jsonb(&mut self, value: &impl Serialize) -> Result<(), Error> {
        let begins = self.0.len();
        self.0.extend([0; 4]);
        self.0.push(JSONB);
        serde_json::to_writer(&mut self.0, value)
            .map_err(Error::unreadable("a row to be copied"))?;
        let length = length(self.0.len() - begins - 4)?;
        self.0.splice(begins..begins + 4, length.to_be_bytes());
        Ok(())
    }

    /// A numeric: digits to the base 10,000, the first of weight `digits - 1` (`numeric_recv` in PostgreSQL's `numeric.c`).
    pub(super) fn numeric(&mut self, value: U256) -> Result<(), Error> {
        let digits: Result<Vec<u16>, _> = value.to_base_be(10_000).map(u16::try_from).collect();
        let digits = digits.map_err(Error::unreadable("a row to be copied"))?;
        let count = u16::try_from(digits.len()).map_err(Error::unreadable("a row to be copied"))?;
        self.0.extend((8 + 2 * i32::from(count)).to_be_bytes());
        // Sign and scale are 0: positive, and nothing behind the point.
        for word in [count, count.saturating_sub(1), 0, 0] {
            self.0.extend(word.to_be_bytes());
        }
        for digit in digits {
            self.0.extend(digit.to_be_bytes());
        }
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

/// Copies rows that cannot be there yet.
///
/// # Errors
/// Database errors.
pub(super) async fn insert(
    connection: &mut PgConnection,
    statement: &'static str,
    rows: Copy,
    purpose: &'static str,
) -> Result<(), Error> {
    let mut stream = connection.copy_in_raw(statement).await.attempt(purpose)?;
    // A connection keeps what it has to send until it is sent.
    for piece in rows.finish().chunks(PIECE) {
        stream.send(piece).await.attempt(purpose)?;
    }
    stream.finish().await.attempt(purpose)?;
    Ok(())
}

/// Copies rows, or none of them and answers false when some are there already. Only inside a transaction.
///
/// # Errors
/// Database errors.
pub(super) async fn insert_unless_there(
    connection: &mut PgConnection,
    statement: &'static str,
    rows: Copy,
    purpose: &'static str,
) -> Result<bool, Error> {
    sqlx::raw_sql("SAVEPOINT copied")
        .execute(&mut *connection)
        .await
        .attempt(purpose)?;
    let copied = insert(connection, statement, rows, purpose).await;
    let (end, is_done) = match copied {
        Ok(()) => ("RELEASE SAVEPOINT copied", true),
        Err(error) if is_duplicate(&error) => ("ROLLBACK TO SAVEPOINT copied", false),
        Err(error) => return Err(error),
    };
    sqlx::raw_sql(end)
        .execute(connection)
        .await
        .attempt(purpose)?;
    Ok(is_done)
}

/// Whether an error means that a row is there already (SQLSTATE 23505, unique_violation).
pub(super) fn is_duplicate(error: &Error) -> bool {
    let Error::Database { source, .. } = error else {
        return false;
    };
    source
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

fn length(value: usize) -> Result<i32, Error> {
    i32::try_from(value).map_err(Error::unreadable("a row to be copied"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_laid_out_in_digits_to_the_base_ten_thousand() {
        let mut copy = Copy(Vec::new());
        copy.numeric(U256::from(1_0002_0003_u64)).unwrap();
        copy.numeric(U256::ZERO).unwrap();
        let expected = [
            &[0, 0, 0, 14, 0, 3, 0, 2, 0, 0, 0, 0, 0, 1, 0, 2, 0, 3][..],
            &[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        assert_eq!(copy.0, expected);
    }

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
