use alloy::primitives::Address;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use subtle::ConstantTimeEq;

use super::{Key, Origin};

/// How long a token is good for: long enough to read, short enough that one that leaked is soon worth nothing.
pub(in crate::api) const LIFETIME: TimeDelta = TimeDelta::minutes(15);

/// Label of the MAC in tokens.
const TOKEN: &str = "tidewatch access token 1";

/// Bytes of a token: account, chain id, when it ends in seconds since 1970, and the MAC over these and the origin.
const BYTES: usize = 20 + 8 + 8 + 32;

/// Somebody who has shown to hold an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) struct Account {
    /// The account.
    pub(in crate::api) address: Address,
    /// Until when that counts.
    pub(in crate::api) until: DateTime<Utc>,
}

impl Account {
    /// Whoever has just signed in.
    pub(in crate::api) fn since(now: DateTime<Utc>, address: Address) -> Self {
        Self {
            address,
            until: now + LIFETIME,
        }
    }

    /// The bearer token for it. Whoever has the token has what the account may read, until it ends.
    pub(in crate::api) fn token(&self, (origin, key): (&Origin, &Key), chain_id: u64) -> String {
        let until = self.until.timestamp().to_be_bytes();
        let chain_id = chain_id.to_be_bytes();
        let said = [self.address.as_slice(), &chain_id, &until];
        let mac = mac(key, origin, said);
        let [address, chain_id, until] = said;
        URL_SAFE_NO_PAD.encode([address, chain_id, until, &mac].concat())
    }

    /// Whether a bearer token can be one of ours at all, before any key is looked at.
    pub(in crate::api) const fn is_shaped(token: &[u8]) -> bool {
        token.len() == (BYTES * 4).div_ceil(3)
    }

    /// What a bearer token says, over or not; `None`: it is none of ours.
    pub(in crate::api) fn read(
        token: &[u8],
        (origin, key): (&Origin, &Key),
        chain_id: u64,
    ) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let bytes: [u8; BYTES] = bytes.try_into().ok()?;
        let (address, rest) = bytes.split_first_chunk::<20>()?;
        let (chain, rest) = rest.split_first_chunk::<8>()?;
        let (until, shown) = rest.split_first_chunk::<8>()?;
        let expected = mac(key, origin, [address, chain, until]);
        let is_ours = bool::from(expected.ct_eq(shown)) && *chain == chain_id.to_be_bytes();
        let until = DateTime::from_timestamp(i64::from_be_bytes(*until), 0)?;
        is_ours.then_some(Self {
            address: Address::from(*address),
            until,
        })
    }
}

fn mac(key: &Key, origin: &Origin, [address, chain_id, until]: [&[u8]; 3]) -> [u8; 32] {
    key.mac(
        TOKEN,
        &[address, chain_id, until, origin.as_str().as_bytes()],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_whose_it_is_where_and_until_when_and_nothing_of_it_can_be_changed() {
        let origin: Origin = "https://data.example".parse().unwrap();
        let key = Key::of(b"one");
        let now = "2026-01-31T12:00:00Z".parse().unwrap();
        let account = Account::since(now, Address::repeat_byte(0xc0));
        let token = account.token((&origin, &key), 8996);
        let read = |token: &str| Account::read(token.as_bytes(), (&origin, &key), 8996);
        assert_eq!(read(&token), Some(account));

        let other: Origin = "https://other.example".parse().unwrap();
        assert_eq!(Account::read(token.as_bytes(), (&other, &key), 8996), None);
        assert_eq!(Account::read(token.as_bytes(), (&origin, &key), 1), None);
        let renewed = Key::of(b"two");
        assert_eq!(
            Account::read(token.as_bytes(), (&origin, &renewed), 8996),
            None
        );
        for place in 0..BYTES {
            let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
            bytes[place] ^= 1;
            assert_eq!(read(&URL_SAFE_NO_PAD.encode(bytes)), None, "{place}");
        }
        for text in ["", "an-operators-token", &token[1..]] {
            assert_eq!(read(text), None);
        }
    }
}
