use data_url::DataUrl;

use crate::ids::AgreementId;

/// Longest value that `DIDRegistry.registerAttribute` takes, in bytes.
pub const LONGEST_VALUE: usize = 2048;

/// What a value registered in the DIDRegistry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A document, inline: the decoded body of a `data:` URL with a JSON media type.
    Inline(Vec<u8>),
    /// The address of a document, whatever its kind; it may still be one that is not fetched.
    Address(Address),
    /// Something else.
    Elsewhere,
    /// A `data:` URL that cannot be read, with the reason.
    Malformed(&'static str),
}

/// Where a document lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The URL without its fragment.
    pub url: String,
    /// The agreement that the fragment names: how a document registered under a DID of the consumer's own is found, since it
    /// cannot be read before it is fetched, and nobody fetches all of a consumer's documents to find one.
    pub agreement: Option<AgreementId>,
}

impl Address {
    fn read(text: &str) -> Option<Self> {
        let (scheme, _) = text.split_once("://")?;
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            || !scheme.bytes().all(letter)
        {
            return None;
        }
        let (url, fragment) = text.split_once('#').unwrap_or((text, ""));
        Some(Self {
            url: url.to_owned(),
            agreement: fragment.parse().ok(),
        })
    }
}

impl Value {
    /// Reads a registered value. The bytes come from a stranger: they need not even be text.
    ///
    /// The body of a `data:` URL may be plain, percent-encoded or base64 (RFC 2397, as the Fetch standard reads it). A `#` ends
    /// it: in a plain body write `%23`.
    pub fn read(value: &[u8]) -> Self {
        if value.len() > LONGEST_VALUE {
            return Self::Malformed("it is longer than 2048 bytes");
        }
        let Ok(text) = std::str::from_utf8(value) else {
            return Self::Elsewhere;
        };
        let scheme = text.get(..5).unwrap_or_default();
        if !scheme.eq_ignore_ascii_case("data:") {
            return Address::read(text).map_or(Self::Elsewhere, Self::Address);
        }
        let Ok(url) = DataUrl::process(text) else {
            return Self::Malformed("it has no comma");
        };
        let media = url.mime_type();
        let is_json = media.subtype == "json" || media.subtype.ends_with("+json");
        if media.type_ != "application" || !is_json {
            return Self::Malformed("its media type is not application/json");
        }
        match url.decode_to_vec() {
            Ok((_, Some(_))) => Self::Malformed("it holds a # that is not written as %23"),
            Ok((body, None)) => Self::Inline(body),
            Err(_) => Self::Malformed("its base64 is broken"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::*;

    #[test]
    fn plain_percent_encoded_and_base64_bodies_are_read() {
        let inline = |text: &str| Value::Inline(text.as_bytes().to_vec());
        let cases = [
            (r#"data:application/json,{"a":1}"#, inline(r#"{"a":1}"#)),
            (
                "data:application/json,%7B%22a%22%3A1%7D",
                inline(r#"{"a":1}"#),
            ),
            (
                "data:application/json;base64,eyJhIjoxfQ==",
                inline(r#"{"a":1}"#),
            ),
            (
                "DATA:application/json;charset=utf-8;base64,eyJhIjoxfQ",
                inline(r#"{"a":1}"#),
            ),
            ("data:application/ld+json,{}", inline("{}")),
            (
                r#"data:application/json,{"a":"%23"}"#,
                inline(r##"{"a":"#"}"##),
            ),
        ];
        for (text, value) in cases {
            assert_eq!(Value::read(text.as_bytes()), value, "{text}");
        }
    }

    #[test]
    fn an_address_may_name_its_agreement() {
        let agreement = AgreementId(B256::repeat_byte(2));
        let read = |text: &str| match Value::read(text.as_bytes()) {
            Value::Address(address) => (address.url, address.agreement),
            other => panic!("{text}: {other:?}"),
        };
        let plain = "https://x.example/d?a=b";
        assert_eq!(read(plain), (plain.to_owned(), None));
        assert_eq!(
            read(&format!("{plain}#{agreement}")),
            (plain.to_owned(), Some(agreement))
        );
        assert_eq!(read(&format!("{plain}#part")), (plain.to_owned(), None));
        assert_eq!(read("ipfs://bafy").0, "ipfs://bafy");
        assert_eq!(read("file:///etc/passwd").0, "file:///etc/passwd");
    }

    proptest::proptest! {
        #[test]
        fn no_value_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = Value::read(&bytes);
            let _ = Value::read(&[b"data:application/json;base64,", bytes.as_slice()].concat());
        }
    }

    #[test]
    fn strangers_bytes_do_no_harm() {
        let malformed = [
            "data:application/json",
            "data:text/html,{}",
            "data:text/json,{}",
            "data:application/octet-stream,{}",
            "data:application/jsonx,{}",
            "data:,{}",
            "data:application/json;base64,%%%",
            "data:application/json,{\"a\":\"#\"}",
        ];
        for text in malformed {
            let value = Value::read(text.as_bytes());
            assert!(matches!(value, Value::Malformed(_)), "{text}: {value:?}");
        }
        for bytes in [
            &b""[..],
            b"data",
            b"a\0b",
            b"\xff\xfe",
            "ä".as_bytes(),
            b"://x",
            b"1a://x",
            b"a b://x",
            b"x.example/d",
        ] {
            assert_eq!(Value::read(bytes), Value::Elsewhere);
        }
        assert!(matches!(Value::read(&[b'a'; 2049]), Value::Malformed(_)));
        assert_eq!(Value::read(&[b'a'; 2048]), Value::Elsewhere);
    }
}
