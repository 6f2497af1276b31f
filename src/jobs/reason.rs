use std::fmt;
use std::str::FromStr;

use super::phase::{Outcome, UnknownWord, words};

macro_rules! reasons {
    ($($variant:ident $code:literal $sentence:literal)*) => {
        /// Why a job stands where it stands: a stable code and a sentence, both ours. Never the algorithm's words.
        ///
        /// Codes are part of the public interface: none is renamed or given another meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = $sentence] $variant,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable code.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// The sentence for people.
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$variant => $sentence,)*
                }
            }
        }
    };
}

reasons! {
    // Skipped: judged, and nothing for this publisher to do.
    BeforeStart "before_start" "The condition was fulfilled before this deployment was told to act."
    BeforeHistory "before_history" "The agreement is older than the first block that is followed."
    NotOurAsset "not_our_asset" "The asset is not in this publisher's catalog."
    // Refused by the rules of the contracts.
    ConditionIdMismatch "condition_id_mismatch" "The condition's id is not the one that follows from the agreement, the asset and the consumer."
    ConditionNotFulfilled "condition_not_fulfilled" "The condition's state after the event is not fulfilled: its time window was over, so the contract aborted it."
    ConditionStateUnproven "condition_state_unproven" "The condition's state was not set by its own contract in the event's transaction."
    OutsideWindow "outside_window" "The event's block is not in the condition's time window."
    UnknownAgreement "unknown_agreement" "No agreement with this id was ever created."
    WrongDid "wrong_did" "The agreement is about another asset than the event."
    WrongConditions "wrong_conditions" "The agreement's conditions are not compute execution, lock and escrow, in this order."
    TemplateNotApproved "template_not_approved" "The agreement was not made under an approved compute template."
    LockMismatch "lock_mismatch" "The agreement's lock does not pay the escrow."
    LockImpossible "lock_impossible" "The payment was not made in time and can no longer be made."
    Underpaid "underpaid" "The payment is smaller than the asset's price."
    EscrowMismatch "escrow_mismatch" "The escrow does not pay this publisher, or does not refund the consumer."
    EscrowAborted "escrow_aborted" "The escrow was aborted."
    NameCollision "name_collision" "Another job has the same short name."
    // Refused by what the workflow asks for.
    NoAlgorithm "no_algorithm" "Nobody named an algorithm: neither the consumer on chain nor the publisher."
    WorkflowDidTaken "workflow_did_taken" "A stranger registered the agreement's id as an asset first, so the consumer's choice cannot be known."
    DocumentInvalid "document_invalid" "The workflow document is not valid."
    DocumentUnavailable "document_unavailable" "The workflow document could not be had in time."
    ForeignInput "foreign_input" "The workflow asks for an input other than the agreement's own asset."
    AssetDisabled "asset_disabled" "The publisher does not offer this asset for computing now."
    RawAlgorithmNotAllowed "raw_algorithm_not_allowed" "The publisher does not allow raw code on this asset."
    AlgorithmNotTrusted "algorithm_not_trusted" "The algorithm is not one that the publisher trusts for this asset."
    AlgorithmTooLarge "algorithm_too_large" "The algorithm's code is larger than 512 KiB."
    ImageNotAllowed "image_not_allowed" "The publisher does not allow this container image."
    DigestMissing "digest_missing" "The container image is not pinned by a sha256 digest."
    ResourcesExceeded "resources_exceeded" "The workflow asks for more than the publisher's ceilings."
    NetworkNotAllowed "network_not_allowed" "The workflow asks for network access, which the publisher does not allow."
    // Failed or ended while running.
    DataProvisioningFailed "data_provisioning_failed" "The inputs could not be fetched, or are not what the publisher declared."
    AlgorithmProvisioningFailed "algorithm_provisioning_failed" "The algorithm could not be put in place."
    AlgorithmFailed "algorithm_failed" "The algorithm ended with an exit code other than 0."
    NoShell "no_shell" "The algorithm's image has no /bin/sh."
    TimeExceeded "time_exceeded" "The algorithm ran longer than allowed."
    MemoryExceeded "memory_exceeded" "The algorithm used more memory than allowed."
    DiskExceeded "disk_exceeded" "More disk was used than allowed."
    StartTimeExceeded "start_time_exceeded" "The cluster could not start a stage in time."
    ImageUnavailable "image_unavailable" "A container image could not be pulled."
    ClusterRefused "cluster_refused" "The cluster refused to make a stage's pod."
    PodAltered "pod_altered" "The cluster changed the algorithm's pod, so it was never let go."
    NetworkUnproven "network_unproven" "The cluster was not seen to deny the network to the algorithm's pod, which the publisher requires; the algorithm never ran."
    Evicted "evicted" "The cluster evicted the algorithm's pod."
    FilterFailed "filter_failed" "The publisher's filter failed, so nothing was published."
    PublishingFailed "publishing_failed" "The results could not be stored."
    PublishingTimeExceeded "publishing_time_exceeded" "The results were not stored in time."
    StoppedByOperator "stopped_by_operator" "An operator stopped the job."
    WorkflowDeleted "workflow_deleted" "Somebody deleted the job's workflow in the cluster."
    WorkflowMissing "workflow_missing" "The job's workflow is gone from the cluster without a word."
    PodMissing "pod_missing" "A pod or its job is gone from the cluster without a word."
    // Ended by the chain.
    EventWithdrawn "event_withdrawn" "The event is gone from the chain for good."
}

impl Reason {
    /// How a job that ran ends for that reason.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::TimeExceeded | Self::StartTimeExceeded | Self::PublishingTimeExceeded => {
                Outcome::TimedOut
            }
            Self::StoppedByOperator | Self::WorkflowDeleted => Outcome::Stopped,
            Self::PodMissing | Self::WorkflowMissing => Outcome::Lost,
            Self::EventWithdrawn => Outcome::Withdrawn,
            _ => Outcome::Failed,
        }
    }
}

words!(Reason, "reason");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_read_back() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse::<Reason>().unwrap(), *reason);
            assert!(reason.sentence().ends_with('.'), "{reason}");
        }
    }

    #[test]
    fn people_find_every_code_in_the_readme() {
        let readme = include_str!("../../README.md");
        for reason in Reason::ALL {
            assert!(
                readme.contains(&format!("`{reason}`")),
                "{reason} is not in README.md"
            );
        }
    }
}
