use std::path::{Path, PathBuf};

use alloy::primitives::B256;

use super::{Faults, Secret, ServiceOptions};
use crate::agent::Kind;

/// Most gigawei per gas unless told otherwise: what a busy public chain asks on a busy day.
const MAX_FEE_GWEI: u64 = 100;
/// Most gas in 24 hours unless told otherwise. An approval takes about 100,000 and a release about 150,000, so this is some eighty
/// of both.
const DAILY_GAS: u64 = 20_000_000;
const WEI_PER_GWEI: u128 = 1_000_000_000;

/// What the agent may do, and with which key.
#[derive(Debug)]
pub struct AgentConfig {
    /// What it does.
    pub kinds: Vec<Kind>,
    /// The file with the private key, which is read again when it changes.
    pub key_file: PathBuf,
    /// The private key, 64 hexadecimal digits.
    pub key: Secret,
    /// Most wei per gas.
    pub max_fee: u128,
    /// Most gas in 24 hours.
    pub daily_gas: u64,
}

/// Whether the agent is told to do anything.
pub(super) fn is_on(options: &ServiceOptions) -> bool {
    options
        .agent
        .as_deref()
        .is_some_and(|words| words.trim() != "off")
}

pub(super) fn read(options: &ServiceOptions, faults: &mut Faults) -> Option<AgentConfig> {
    let kinds = read_kinds(options, faults);
    let key = read_key(options.agent_key_file.as_deref(), faults);
    let fee = read_number(
        options.agent_max_fee_gwei.as_deref(),
        "TIDEWATCH_AGENT_MAX_FEE_GWEI",
        MAX_FEE_GWEI,
        faults,
    );
    let daily_gas = read_number(
        options.agent_daily_gas.as_deref(),
        "TIDEWATCH_AGENT_DAILY_GAS",
        DAILY_GAS,
        faults,
    );
    Some(AgentConfig {
        kinds,
        key_file: options.agent_key_file.clone()?,
        key: key?,
        max_fee: u128::from(fee) * WEI_PER_GWEI,
        daily_gas,
    })
}

fn read_kinds(options: &ServiceOptions, faults: &mut Faults) -> Vec<Kind> {
    const VARIABLE: &str = "TIDEWATCH_AGENT";
    let Some(words) = options.agent.as_deref().filter(|_| is_on(options)) else {
        faults.add(VARIABLE, "must say what the agent does: approve,release");
        return Vec::new();
    };
    let mut kinds = Vec::new();
    for word in words.split(',').map(str::trim) {
        match Kind::ALL.into_iter().find(|kind| kind.as_str() == word) {
            Some(kind) if kinds.contains(&kind) => {}
            Some(kind) => kinds.push(kind),
            None if matches!(word, "receipt" | "assets") => faults.add(
                VARIABLE,
                format!(
                    "names {word}, which this version does not do; it does approve and release"
                ),
            ),
            None => faults.add(
                VARIABLE,
                format!("holds {word:?}, which is none of off, approve, release"),
            ),
        }
    }
    kinds
}

fn read_key(file: Option<&Path>, faults: &mut Faults) -> Option<Secret> {
    const VARIABLE: &str = "TIDEWATCH_AGENT_KEY_FILE";
    let Some(file) = file else {
        faults.add(
            VARIABLE,
            "is required: the file with the agent's private key",
        );
        return None;
    };
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("names {shown}, which cannot be read: {error}"));
    let text = faults.check(VARIABLE, text)?;
    let is_key = text.trim().parse::<B256>().is_ok_and(|key| !key.is_zero());
    if !is_key {
        faults.add(
            VARIABLE,
            format!("names {shown}, which does not hold a private key: 64 hexadecimal digits"),
        );
        return None;
    }
    Some(Secret::new(text.trim()))
}

fn read_number(text: Option<&str>, variable: &str, default: u64, faults: &mut Faults) -> u64 {
    let Some(text) = text else {
        return default;
    };
    match text.parse() {
        Ok(number) if number > 0 => number,
        _ => {
            faults.add(variable, format!("is {text:?}, not a whole number above 0"));
            default
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(agent: Option<&str>) -> (bool, String) {
        let options = ServiceOptions {
            agent: agent.map(str::to_owned),
            agent_daily_gas: Some("none".to_owned()),
            ..ServiceOptions::default()
        };
        let mut faults = Faults::default();
        let config = read(&options, &mut faults);
        (config.is_some(), faults.to_string())
    }

    #[test]
    fn what_the_agent_cannot_do_is_refused_with_a_sentence() {
        let (read, faults) = told(Some("approve,receipt,dance"));
        assert!(!read);
        for fault in [
            "TIDEWATCH_AGENT names receipt, which this version does not do",
            "TIDEWATCH_AGENT holds \"dance\"",
            "TIDEWATCH_AGENT_KEY_FILE is required",
            "TIDEWATCH_AGENT_DAILY_GAS is \"none\"",
        ] {
            assert!(faults.contains(fault), "{fault} is missing in: {faults}");
        }
        assert!(told(Some("off")).1.contains("must say what the agent does"));
    }

    #[test]
    fn a_key_comes_from_its_file_and_is_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("0x{}\n", "ab".repeat(32))).unwrap();
        let options = ServiceOptions {
            agent: Some("approve, release".to_owned()),
            agent_key_file: Some(file.path().to_owned()),
            agent_max_fee_gwei: Some("7".to_owned()),
            ..ServiceOptions::default()
        };
        let mut faults = Faults::default();
        let config = read(&options, &mut faults).unwrap();
        assert!(faults.is_empty());
        assert_eq!(config.kinds, Kind::ALL);
        assert_eq!(config.max_fee, 7_000_000_000);
        assert!(!format!("{config:?}").contains("abab"));
    }
}
