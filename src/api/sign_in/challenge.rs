use alloy::hex;
use alloy::primitives::Address;
use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::message::{Malformed, Message};
use super::{Key, Origin};

/// How long a challenge can be signed by a key, and by a contract wallet.
const FOR_KEYS: TimeDelta = TimeDelta::minutes(10);
const FOR_WALLETS: TimeDelta = TimeDelta::hours(24);

/// How far the clocks of two replicas may differ.
const SKEW: TimeDelta = TimeDelta::minutes(1);

const STATEMENT: &str = "Sign in to read the logs and results of your compute jobs. Signing costs nothing and moves nothing.";

/// Label of the MAC in nonces.
const NONCE: &str = "tidewatch nonce 1";

/// A nonce: 16 bytes that are random, and the MAC over the text that they stand in.
const NONCE_BYTES: usize = 32;
const RANDOM_BYTES: usize = 16;

/// A text to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) struct Challenge {
    /// The message, after EIP-4361.
    pub(in crate::api) message: String,
    /// When it is too late to hand in its signature.
    pub(in crate::api) expires_at: DateTime<Utc>,
}

/// What a text of ours, handed back, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) struct Accepted {
    /// Who is to have signed it.
    pub(in crate::api) address: Address,
    /// What must not have been spent.
    pub(in crate::api) nonce: [u8; NONCE_BYTES],
    /// When it is over.
    pub(in crate::api) expires_at: DateTime<Utc>,
    /// When it is over for the signature of a key.
    pub(in crate::api) keys_until: DateTime<Utc>,
}

/// Why a text is not accepted, before any signature is looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::api) enum Refused {
    /// It is no message of EIP-4361.
    #[error("The message is not one of EIP-4361, version 1: {0}.")]
    Malformed(#[from] Malformed),
    /// It is for another site.
    #[error("The message is for another site; this one is {0}.")]
    WrongDomain(Origin),
    /// It is for another chain.
    #[error("The message is for another chain; this one has the id {0}.")]
    WrongChain(u64),
    /// It was not written here, or changed since, or under a key that was replaced.
    #[error(
        "The message was not issued here, or was changed since; ask for a new one and sign it as it is."
    )]
    Unknown,
    /// Its time is over, or has not come.
    #[error("The message is valid no longer; ask for a new one.")]
    Expired,
}

impl Challenge {
    /// A text for an account on a chain. Nothing of it is kept.
    pub(in crate::api) fn issue(
        (origin, key): (&Origin, &Key),
        address: Address,
        chain_id: u64,
        is_wallet: bool,
        now: DateTime<Utc>,
    ) -> Self {
        let issued_at = now.trunc_subsecs(0);
        let expires_at = issued_at + if is_wallet { FOR_WALLETS } else { FOR_KEYS };
        let random = Uuid::new_v4();
        let written = Written {
            origin,
            address,
            chain_id,
            issued_at,
            expires_at,
        };
        Self {
            message: written.text(&written.nonce(key, random.as_bytes())),
            expires_at,
        }
    }
}

impl Accepted {
    /// Recognises a text that was issued here.
    ///
    /// # Errors
    /// [`Refused`], the first that applies in the order of its variants.
    pub(in crate::api) fn read(
        text: &str,
        (origin, key): (&Origin, &Key),
        chain_id: u64,
        now: DateTime<Utc>,
    ) -> Result<Self, Refused> {
        let message = Message::read(text)?;
        if message.domain != origin.domain()
            || message.uri != origin.as_str()
            || message.scheme != origin.scheme()
        {
            return Err(Refused::WrongDomain(origin.clone()));
        }
        if message.chain_id != chain_id {
            return Err(Refused::WrongChain(chain_id));
        }
        let expires_at = message.expires_at.ok_or(Refused::Unknown)?;
        let written = Written {
            origin,
            address: message.address,
            chain_id,
            issued_at: message.issued_at,
            expires_at,
        };
        let nonce: [u8; NONCE_BYTES] =
            hex::decode_to_array(message.nonce).map_err(|_| Refused::Unknown)?;
        let (random, _) = nonce.split_at(RANDOM_BYTES);
        let expected = written.nonce(key, random);
        let is_ours = bool::from(expected.as_bytes().ct_eq(message.nonce.as_bytes()));
        // One text, one spelling: whatever else a reader of EIP-4361 might overlook is refused here.
        if !is_ours || written.text(&expected) != text {
            return Err(Refused::Unknown);
        }
        let has_come = message.issued_at <= now + SKEW && message.not_before.is_none();
        if !has_come || now >= expires_at {
            return Err(Refused::Expired);
        }
        Ok(Self {
            address: message.address,
            nonce,
            expires_at,
            keys_until: expires_at.min(message.issued_at + FOR_KEYS),
        })
    }
}

/// All that varies in our texts, but the nonce.
struct Written<'a> {
    origin: &'a Origin,
    address: Address,
    chain_id: u64,
    issued_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl Written<'_> {
    fn nonce(&self, key: &Key, random: &[u8]) -> String {
        let random = hex::encode(random);
        let mac = key.mac(NONCE, &[self.text(&random).as_bytes()]);
        let (mac, _) = mac.split_at(NONCE_BYTES - RANDOM_BYTES);
        random + &hex::encode(mac)
    }

    fn text(&self, nonce: &str) -> String {
        let scheme = self.origin.scheme();
        let scheme = scheme.map_or_else(String::new, |scheme| format!("{scheme}://"));
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        format!(
            "{scheme}{domain} wants you to sign in with your Ethereum account:\n{address}\n\n{STATEMENT}\n\nURI: {uri}\nVersion: 1\n\
             Chain ID: {chain}\nNonce: {nonce}\nIssued At: {issued}\nExpiration Time: {expires}",
            domain = self.origin.domain(),
            address = self.address.to_checksum(None),
            uri = self.origin,
            chain = self.chain_id,
            issued = time(self.issued_at),
            expires = time(self.expires_at),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: u64 = 8996;
    const ACCOUNT: Address = Address::repeat_byte(0xc0);

    fn origin() -> Origin {
        "https://data.example".parse().unwrap()
    }

    fn now() -> DateTime<Utc> {
        "2026-01-31T12:00:00.5Z".parse().unwrap()
    }

    fn issued(is_wallet: bool) -> Challenge {
        Challenge::issue(
            (&origin(), &Key::of(b"one")),
            ACCOUNT,
            CHAIN,
            is_wallet,
            now(),
        )
    }

    fn read(text: &str, now: DateTime<Utc>) -> Result<Accepted, Refused> {
        Accepted::read(text, (&origin(), &Key::of(b"one")), CHAIN, now)
    }

    #[test]
    fn what_was_issued_is_recognised_and_says_how_long_it_counts() {
        let text = issued(false).message;
        let accepted = read(&text, now()).unwrap();
        assert_eq!(accepted.address, ACCOUNT);
        assert_eq!(accepted.keys_until, accepted.expires_at);
        assert_ne!(
            read(&issued(false).message, now()).unwrap().nonce,
            accepted.nonce
        );
        let late = now() + TimeDelta::minutes(10);
        assert_eq!(read(&text, late), Err(Refused::Expired));
        assert_eq!(
            read(&text, now() - TimeDelta::minutes(2)),
            Err(Refused::Expired)
        );

        // A contract wallet has a day; a key has its ten minutes all the same.
        let text = issued(true).message;
        let accepted = read(&text, now() + TimeDelta::hours(23)).unwrap();
        assert!(accepted.keys_until < now() + TimeDelta::minutes(10));
        assert_eq!(
            read(&text, now() + TimeDelta::hours(24)),
            Err(Refused::Expired)
        );
    }

    #[test]
    fn nothing_of_it_can_be_changed() {
        let text = issued(false).message;
        let other = Address::repeat_byte(0xc1).to_checksum(None);
        let own = ACCOUNT.to_checksum(None);
        let nonce = text
            .split("Nonce: ")
            .nth(1)
            .unwrap()
            .split('\n')
            .next()
            .unwrap();
        let unknown = [
            (own.as_str(), other.as_str()),
            ("2026-01-31T12:10:00Z", "2026-02-28T12:10:00Z"),
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:01Z"),
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.0Z"),
            ("Signing costs", "Sinning costs"),
            (
                nonce,
                "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            ),
            (nonce, "abcdefgh"),
            ("\nExpiration Time: 2026-01-31T12:10:00Z", ""),
        ];
        for (from, to) in unknown {
            let changed = text.replace(from, to);
            assert_ne!(changed, text);
            assert_eq!(read(&changed, now()), Err(Refused::Unknown), "{to}");
        }
        for (from, to) in [
            ("data.example", "evil.example"),
            ("data.example wants", "data.example:81 wants"),
            ("data.example wants", "http://data.example wants"),
            ("URI: https", "URI: http"),
        ] {
            assert_eq!(
                read(&text.replacen(from, to, 1), now()),
                Err(Refused::WrongDomain(origin())),
                "{to}"
            );
        }
        assert_eq!(
            read(&text.replace("8996", "1"), now()),
            Err(Refused::WrongChain(CHAIN))
        );
        assert!(matches!(read("hello", now()), Err(Refused::Malformed(_))));
        let more = format!("{text}\nRequest ID: 1");
        assert_eq!(read(&more, now()), Err(Refused::Unknown));
        let renewed = Accepted::read(&text, (&origin(), &Key::of(b"two")), CHAIN, now());
        assert_eq!(renewed, Err(Refused::Unknown));
    }
}
