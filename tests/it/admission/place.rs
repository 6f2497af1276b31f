use tidewatch::keeper::KeeperVersion;

/// Where agreements are made and live: which contracts there are, who makes the agreements, and when the contracts are upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// 0.12.7 at its own addresses; the template contract makes agreements.
    Old,
    /// 0.12.7 behind proxies.
    OldProxied,
    /// 0.13.2 at its own addresses; agreements are made directly.
    New,
    /// Everything is done under 0.12.7, and judged when the contracts are 0.13.2.
    BeforeUpgrade,
    /// Agreements are made under 0.12.7; the rest is done under 0.13.2.
    AcrossUpgrade,
    /// Everything is done under 0.13.2 that was 0.12.7, by the template contract that had been approved before.
    AfterUpgrade,
    /// The same, directly.
    AfterUpgradeDirect,
}

impl Place {
    pub(super) const ALL: [Self; 7] = [
        Self::Old,
        Self::OldProxied,
        Self::New,
        Self::BeforeUpgrade,
        Self::AcrossUpgrade,
        Self::AfterUpgrade,
        Self::AfterUpgradeDirect,
    ];

    /// What is deployed first.
    pub(super) const fn version(self) -> KeeperVersion {
        match self {
            Self::New => KeeperVersion::V0_13_2,
            _ => KeeperVersion::V0_12_7,
        }
    }

    pub(super) const fn is_proxied(self) -> bool {
        !matches!(self, Self::Old | Self::New)
    }

    /// Whether agreements are made without a template contract.
    pub(super) const fn is_direct(self) -> bool {
        matches!(self, Self::New | Self::AfterUpgradeDirect)
    }
}

/// Everywhere.
pub(super) const EVERYWHERE: &[Place] = &Place::ALL;

/// Where blocks can be counted from an agreement on: no upgrade takes some in between.
pub(super) const UNDISTURBED: &[Place] = &[
    Place::Old,
    Place::OldProxied,
    Place::New,
    Place::BeforeUpgrade,
    Place::AfterUpgrade,
    Place::AfterUpgradeDirect,
];

/// Where anybody may make agreements under a template's id.
pub(super) const DIRECTLY: &[Place] = &[Place::New, Place::AfterUpgradeDirect];

/// Where only template contracts make agreements, and can be revoked.
pub(super) const BY_CONTRACT_ONLY: &[Place] =
    &[Place::Old, Place::OldProxied, Place::BeforeUpgrade];

/// Where somebody can replace the contracts' code in the course of a row.
pub(super) const BEHIND_PROXIES: &[Place] = &[
    Place::OldProxied,
    Place::BeforeUpgrade,
    Place::AfterUpgrade,
    Place::AfterUpgradeDirect,
];
