use std::num::NonZeroU16;

use alloy::primitives::Address;

use super::{Faults, ServiceOptions};
use crate::ledger::dispatch::{Caps, Weights};
use crate::scheduler::DispatcherSettings;

/// Reads how many jobs may be in the engine at once, and whose turn comes more often.
pub(super) fn read(options: &ServiceOptions, faults: &mut Faults) -> DispatcherSettings {
    let usual = DispatcherSettings::default();
    let mut cap = |text: Option<&str>, usual: u32, variable: &str| {
        let read = text.map_or(Ok(usual), |text| match text.parse() {
            Ok(jobs) if jobs > 0 => Ok(jobs),
            _ => Err(format!("is {text:?}, not a number of jobs of at least 1")),
        });
        faults.check(variable, read).unwrap_or(usual)
    };
    let caps = Caps {
        window: cap(
            options.live_jobs.as_deref(),
            usual.caps.window,
            "TIDEWATCH_LIVE_JOBS",
        ),
        of_payer: cap(
            options.live_jobs_per_payer.as_deref(),
            usual.caps.of_payer,
            "TIDEWATCH_LIVE_JOBS_PER_PAYER",
        ),
        of_asset: cap(
            options.live_jobs_per_asset.as_deref(),
            usual.caps.of_asset,
            "TIDEWATCH_LIVE_JOBS_PER_ASSET",
        ),
    };
    let weights = read_weights(options.payer_weights.as_deref().unwrap_or_default());
    let weights = faults.check("TIDEWATCH_PAYER_WEIGHTS", weights);
    DispatcherSettings {
        caps,
        weights: weights.unwrap_or_default(),
        ..usual
    }
}

/// `0x…=3,0x…=2`
fn read_weights(text: &str) -> Result<Weights, String> {
    let mut weights: Vec<(Address, NonZeroU16)> = Vec::new();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let expected = || {
            format!(
                "has {part:?}, not an address and a weight from 1 to 65535, such as 0x52908400098527886E0F7030069857D2E4169EE7=3"
            )
        };
        let (payer, weight) = part.split_once('=').ok_or_else(expected)?;
        let payer = payer.trim().parse().map_err(|_| expected())?;
        let weight = weight.trim().parse().map_err(|_| expected())?;
        if weights.iter().any(|(known, _)| *known == payer) {
            return Err(format!("names {payer} twice"));
        }
        weights.push((payer, weight));
    }
    Ok(Weights::new(weights))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_name_each_payer_once_with_a_number() {
        let (one, two) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let weight = |weight| NonZeroU16::new(weight).unwrap();
        let read = read_weights(&format!("{one}=3, {two} = 1,"));
        assert_eq!(read, Ok(Weights::new([(one, weight(3)), (two, weight(1))])));
        assert_eq!(read_weights(""), Ok(Weights::default()));
        for (wrong, told) in [
            (format!("{one}=0"), "not an address and a weight"),
            (format!("{one}"), "not an address and a weight"),
            ("nobody=2".to_owned(), "not an address and a weight"),
            (format!("{one}=2,{one}=3"), "twice"),
        ] {
            let error = read_weights(&wrong).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_cap_of_nothing_is_refused() {
        let options = ServiceOptions {
            live_jobs: Some("0".to_owned()),
            live_jobs_per_payer: Some("7".to_owned()),
            ..ServiceOptions::default()
        };
        let mut faults = Faults::default();
        let settings = read(&options, &mut faults);
        assert_eq!(settings.caps.of_payer, 7);
        let told = faults.to_string();
        assert!(told.contains("TIDEWATCH_LIVE_JOBS is \"0\""), "{told}");
    }
}
