use std::str::FromStr;

use alloy::primitives::{Address, B256};

use crate::ids::{Did, JobName};

/// What a text can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    Job(JobName),
    /// An agreement, a condition, a transaction or an asset.
    Hash(B256),
    Asset(Did),
    Account(Address),
    Nothing,
}

impl Sought {
    /// Reads what somebody typed or pasted: any case, with or without prefix, or a link to it.
    pub(super) fn read(text: &str) -> Self {
        let text = text.trim().trim_matches(['"', '\'', '<', '>', ',', '.']);
        let text = match text.split_once("://") {
            Some((_, rest)) => {
                let path = rest.split(['?', '#']).next().unwrap_or_default();
                path.trim_end_matches('/')
                    .rsplit('/')
                    .next()
                    .unwrap_or_default()
            }
            None => text,
        };
        let text = text.to_ascii_lowercase();
        if let Some(digits) = text.strip_prefix("did:op:") {
            return Did::from_str(digits).map_or(Self::Nothing, Self::Asset);
        }
        let digits = text
            .strip_prefix("0x")
            .or_else(|| text.strip_prefix("job-"))
            .unwrap_or(&text);
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Self::Nothing;
        }
        match digits.len() {
            32 => format!("job-{digits}")
                .parse()
                .map_or(Self::Nothing, Self::Job),
            40 => digits.parse().map_or(Self::Nothing, Self::Account),
            64 => digits.parse().map_or(Self::Nothing, Self::Hash),
            _ => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_pasted_is_taken_for_what_it_can_be() {
        let digits = "AB".repeat(32);
        let its: B256 = digits.parse().unwrap();
        let job = Sought::Job(format!("job-{}", "ab".repeat(16)).parse().unwrap());
        for text in [
            format!("0x{digits}"),
            format!("  {digits}\n"),
            format!("\"0x{digits}\","),
        ] {
            assert_eq!(Sought::read(&text), Sought::Hash(its), "{text}");
        }
        for text in [
            format!("job-{}", &digits[..32]),
            digits[..32].to_owned(),
            format!(
                "https://tidewatch.example/jobs/job-{}?x=1#log",
                &digits[..32]
            ),
        ] {
            assert_eq!(Sought::read(&text), job, "{text}");
        }
        assert_eq!(
            Sought::read(&format!("did:op:{digits}")),
            Sought::Asset(Did(its))
        );
        let account = Address::repeat_byte(0xab);
        assert_eq!(Sought::read(&account.to_string()), Sought::Account(account));
        for text in ["", "hello", "0x12", "did:op:7", "job-7", "../../etc", "ä"] {
            assert_eq!(Sought::read(text), Sought::Nothing, "{text}");
        }
    }
}
