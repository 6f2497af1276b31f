//! EIP-4361's text, read strictly by its ABNF. Pure.

use alloy::primitives::Address;
use chrono::{DateTime, Utc};

/// What a sign-in message says, version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    /// The origin's scheme, where it is said.
    pub(super) scheme: Option<&'a str>,
    /// The site that asks.
    pub(super) domain: &'a str,
    /// Who signs.
    pub(super) address: Address,
    /// What it is about.
    pub(super) uri: &'a str,
    /// EIP-155 chain id.
    pub(super) chain_id: u64,
    /// What makes it single.
    pub(super) nonce: &'a str,
    /// From when.
    pub(super) issued_at: DateTime<Utc>,
    /// Until when.
    pub(super) expires_at: Option<DateTime<Utc>>,
    /// Not before.
    pub(super) not_before: Option<DateTime<Utc>>,
}

/// A text that is no such message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its line {line} must be {wanted}")]
pub(in crate::api) struct Malformed {
    /// Counted from 1.
    line: usize,
    wanted: &'static str,
}

const ASKS: &str = " wants you to sign in with your Ethereum account:";

/// The lines of a text, one after another.
struct Lines<'a> {
    lines: Vec<&'a str>,
    next: usize,
}

impl<'a> Message<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Malformed`] with the first line that is not as it must be.
    pub(super) fn read(text: &'a str) -> Result<Self, Malformed> {
        let mut lines = Lines {
            lines: text.split('\n').collect(),
            next: 0,
        };
        let first = "a domain with \" wants you to sign in with your Ethereum account:\"";
        let (scheme, domain) = lines.take(first, |line| asking(line.strip_suffix(ASKS)?))?;
        let address = lines.take("an address with EIP-55's checksum", |line| {
            Address::parse_checksummed(line, None).ok()
        })?;
        lines.take("empty", empty)?;
        if lines.peek() != Some("") {
            let wanted = "a statement in letters, digits, blanks and the marks of RFC 3986";
            lines.take(wanted, |line| {
                line.bytes().all(is_of_statement).then_some(())
            })?;
        }
        lines.take("empty", empty)?;
        let uri = lines.field("URI: ", "\"URI: \" and a URI", |uri| {
            (!uri.is_empty() && uri.bytes().all(|byte| byte.is_ascii_graphic())).then_some(uri)
        })?;
        lines.field("Version: ", "\"Version: 1\"", |version| {
            (version == "1").then_some(())
        })?;
        let chain_id = lines.field(
            "Chain ID: ",
            "\"Chain ID: \" and a decimal number",
            |number| {
                let is_decimal = number.bytes().all(|byte| byte.is_ascii_digit());
                is_decimal.then(|| number.parse().ok()).flatten()
            },
        )?;
        let wanted = "\"Nonce: \" and at least eight letters and digits";
        let nonce = lines.field("Nonce: ", wanted, |nonce| {
            let is_single =
                nonce.len() >= 8 && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric());
            is_single.then_some(nonce)
        })?;
        let wanted = "\"Issued At: \" and a time after RFC 3339";
        let issued_at = lines.field("Issued At: ", wanted, time)?;
        let wanted = "\"Expiration Time: \" and a time after RFC 3339";
        let expires_at = lines.optional("Expiration Time: ", wanted, time)?;
        let wanted = "\"Not Before: \" and a time after RFC 3339";
        let not_before = lines.optional("Not Before: ", wanted, time)?;
        lines.optional("Request ID: ", "\"Request ID: \" and an id", Some)?;
        if lines.peek() == Some("Resources:") {
            lines.take("\"Resources:\"", Some)?;
            while lines.peek().is_some() {
                lines.field("- ", "\"- \" and a URI", Some)?;
            }
        }
        lines.end()?;
        Ok(Self {
            scheme,
            domain,
            address,
            uri,
            chain_id,
            nonce,
            issued_at,
            expires_at,
            not_before,
        })
    }
}

impl<'a> Lines<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.lines.get(self.next).copied()
    }

    fn malformed(&self, wanted: &'static str) -> Malformed {
        Malformed {
            line: self.next + 1,
            wanted,
        }
    }

    fn take<T>(
        &mut self,
        wanted: &'static str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, Malformed> {
        let value = self.peek().and_then(read);
        let value = value.ok_or_else(|| self.malformed(wanted))?;
        self.next += 1;
        Ok(value)
    }

    fn field<T>(
        &mut self,
        name: &str,
        wanted: &'static str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, Malformed> {
        self.take(wanted, |line| read(line.strip_prefix(name)?))
    }

    fn optional<T>(
        &mut self,
        name: &str,
        wanted: &'static str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<Option<T>, Malformed> {
        match self.peek() {
            Some(line) if line.starts_with(name) => self.field(name, wanted, read).map(Some),
            Some(_) | None => Ok(None),
        }
    }

    fn end(&self) -> Result<(), Malformed> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.malformed("absent, or a field of EIP-4361 in its order")),
        }
    }
}

fn empty(line: &str) -> Option<()> {
    line.is_empty().then_some(())
}

fn asking(text: &str) -> Option<(Option<&str>, &str)> {
    let (scheme, domain) = match text.split_once("://") {
        Some((scheme, domain)) => (Some(scheme), domain),
        None => (None, text),
    };
    let is_authority = !domain.is_empty()
        && domain
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'?' | b'#'));
    let is_scheme = scheme.is_none_or(|scheme| {
        scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    (is_authority && is_scheme).then_some((scheme, domain))
}

/// RFC 3986's reserved and unreserved characters, and the blank (the EIP's erratum).
const fn is_of_statement(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b':'
                | b'/'
                | b'?'
                | b'#'
                | b'['
                | b']'
                | b'@'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b' '
        )
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of EIP-4361, section "Informal Message Template", with every field.
    const FULL: &str = "https://example.com wants you to sign in with your Ethereum account:
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2

I accept the ExampleOrg Terms of Service: https://example.com/tos

URI: https://example.com/login
Version: 1
Chain ID: 1
Nonce: 32891756
Issued At: 2021-09-30T16:25:24Z
Expiration Time: 2021-10-01T16:25:24Z
Not Before: 2021-09-30T16:25:24Z
Request ID: some-id
Resources:
- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/
- https://example.com/my-web2-claim.json";

    #[test]
    fn the_eips_own_example_is_read() {
        let message = Message::read(FULL).unwrap();
        assert_eq!(
            (message.scheme, message.domain, message.uri),
            (Some("https"), "example.com", "https://example.com/login")
        );
        assert_eq!((message.chain_id, message.nonce), (1, "32891756"));
        assert_eq!(
            message.expires_at.unwrap() - message.issued_at,
            chrono::TimeDelta::days(1)
        );
        let short = FULL
            .replace(
                "I accept the ExampleOrg Terms of Service: https://example.com/tos\n",
                "",
            )
            .replace("https://example.com wants", "example.com:8443 wants");
        let short = Message::read(short.split("\nExpiration").next().unwrap()).unwrap();
        assert_eq!(
            (short.scheme, short.domain, short.expires_at),
            (None, "example.com:8443", None)
        );
    }

    #[test]
    fn whatever_deviates_is_refused_with_its_line() {
        let cases = [
            ("https://example.com wants", "example.com/ wants", 1),
            ("wants you", "wants  you", 1),
            (
                "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
                "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
                2,
            ),
            ("Cc2\n\nI", "Cc2\nI", 3),
            ("I accept", "I \"accept\"", 4),
            ("tos\n\nURI", "tos\nURI", 5),
            ("URI: https", "URI:  https", 6),
            ("Version: 1", "Version: 2", 7),
            ("Chain ID: 1", "Chain ID: 0x1", 8),
            ("Chain ID: 1", "Chain ID: +1", 8),
            ("Nonce: 32891756", "Nonce: 3289175", 9),
            ("Nonce: 32891756", "Nonce: 3289-1756", 9),
            (
                "Issued At: 2021-09-30T16:25:24Z",
                "Issued At: yesterday",
                10,
            ),
            ("\nExpiration", "\r\nExpiration", 10),
            ("Not Before: 2021", "Not Before: x2021", 12),
            ("Request ID", "Request Id", 13),
            ("- ipfs", "* ipfs", 15),
        ];
        for (from, to, line) in cases {
            let text = FULL.replacen(from, to, 1);
            assert_ne!(text, FULL, "{from}");
            let malformed = Message::read(&text).unwrap_err();
            assert_eq!(malformed.line, line, "{to}: {malformed}");
        }
        assert_eq!(Message::read(&format!("{FULL}\n")).unwrap_err().line, 17);
        assert_eq!(Message::read("").unwrap_err().line, 1);
    }
}
