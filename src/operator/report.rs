use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};

use crate::cluster::{ComputeWorkflow, ComputeWorkflowStatus};
use crate::jobs::{Outcome, Phase};

/// Tells people of a workflow's phases by Kubernetes' events. They are a courtesy: one that cannot be written is forgotten.
pub(super) struct Reports(Recorder);

impl Reports {
    pub(super) fn new(client: Client) -> Self {
        Self(Recorder::new(client, Reporter::from("tidewatch-operator")))
    }

    /// Tells of the change, if the phase changed.
    pub(super) async fn changed(&self, workflow: &ComputeWorkflow, to: &ComputeWorkflowStatus) {
        let before = workflow.status.as_ref();
        let same = before.is_some_and(|from| from.phase == to.phase && from.attempt == to.attempt);
        let Some(phase) = to.phase.filter(|_| !same) else {
            return;
        };
        tracing::info!(
            workflow = workflow.metadata.name,
            phase = phase.as_str(),
            outcome = to.outcome.map(Outcome::as_str),
            reason = to.reason.map(crate::jobs::Reason::as_str),
            "workflow {} is {phase}",
            workflow.metadata.name.as_deref().unwrap_or_default()
        );
        let event = Event {
            type_: kind(to),
            reason: camel_case(to.outcome.map_or_else(|| phase.as_str(), Outcome::as_str)),
            note: to.reason.map(|reason| reason.sentence().to_owned()),
            action: camel_case(phase.as_str()),
            secondary: None,
        };
        if let Err(error) = self.0.publish(&event, &workflow.object_ref(&())).await {
            tracing::debug!(%error, "an event could not be written");
        }
    }
}

fn kind(status: &ComputeWorkflowStatus) -> EventType {
    match (status.phase, status.outcome) {
        (Some(Phase::Finished), Some(Outcome::Succeeded | Outcome::Stopped)) => EventType::Normal,
        (Some(Phase::Finished), _) => EventType::Warning,
        _ => EventType::Normal,
    }
}

/// `timed_out` as Kubernetes writes reasons: `TimedOut`.
fn camel_case(word: &str) -> String {
    let parts = word.split('_');
    parts
        .map(|part| {
            let mut letters = part.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<String>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_reasons_as_kubernetes_writes_them() {
        assert_eq!(camel_case("timed_out"), "TimedOut");
        assert_eq!(camel_case("running"), "Running");
    }
}
