use std::collections::BTreeSet;

use super::{Faults, ServiceOptions, agent};

/// A part of the service that can run by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Carries the chain's logs into the ledger.
    Follower,
    /// Draws their consequences.
    Judge,
    /// Freezes what each job runs.
    Resolver,
    /// Hands jobs to the engine.
    Dispatcher,
    /// Notes how they go.
    Observer,
    /// Copies logs and results' hashes into the ledger.
    Collector,
    /// Removes what is finished from the engine.
    Reaper,
    /// Turns workflows into Kubernetes Jobs.
    Operator,
    /// Acts on chain for the publisher.
    Agent,
    /// Answers people.
    Api,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 10] = [
        Self::Follower,
        Self::Judge,
        Self::Resolver,
        Self::Dispatcher,
        Self::Observer,
        Self::Collector,
        Self::Reaper,
        Self::Operator,
        Self::Agent,
        Self::Api,
    ];

    /// The role's name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Follower => "follower",
            Self::Judge => "judge",
            Self::Resolver => "resolver",
            Self::Dispatcher => "dispatcher",
            Self::Observer => "observer",
            Self::Collector => "collector",
            Self::Reaper => "reaper",
            Self::Operator => "operator",
            Self::Agent => "agent",
            Self::Api => "api",
        }
    }

    /// Whether the role writes the ledger, and so needs a database and the deployment.
    pub const fn writes_the_ledger(self) -> bool {
        !matches!(self, Self::Operator | Self::Api)
    }

    pub(super) const fn knows_the_contracts(self) -> bool {
        !matches!(self, Self::Operator)
    }

    pub(super) const fn asks_the_chain(self) -> bool {
        matches!(self, Self::Follower | Self::Judge | Self::Agent)
    }

    pub(super) const fn asks_the_engine(self) -> bool {
        matches!(
            self,
            Self::Dispatcher | Self::Observer | Self::Collector | Self::Reaper | Self::Operator
        )
    }
}

/// The chosen roles. `all` leaves the agent out unless it was told what to do: it spends money.
pub(super) fn read_roles(options: &ServiceOptions, faults: &mut Faults) -> BTreeSet<Role> {
    let has_agent = agent::is_on(options);
    let mut roles = BTreeSet::new();
    for word in options.role.split(',').map(str::trim) {
        match Role::ALL.into_iter().find(|role| role.as_str() == word) {
            Some(role) => _ = roles.insert(role),
            None if word == "all" => roles.extend(
                Role::ALL
                    .into_iter()
                    .filter(|role| *role != Role::Agent || has_agent),
            ),
            None => {
                let known = Role::ALL.map(Role::as_str).join(", ");
                faults.add("--role", format!("{word:?} is none of all, {known}"));
            }
        }
    }
    roles
}
