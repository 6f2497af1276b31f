use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};

use crate::cluster::{ComputeWorkflow, ComputeWorkflowStatus, StageStatus};
use crate::jobs::{Outcome, Phase};

/// Tells people of a workflow's phases and of what became of its stages by Kubernetes' events. They are a courtesy: one that cannot be written is forgotten.
pub(super) struct Reports(Recorder);

impl Reports {
    pub(super) fn new(client: Client) -> Self {
        Self(Recorder::new(client, Reporter::from("tidewatch-operator")))
    }

    /// Tells of the change, if a phase or the fate of a stage changed.
    pub(super) async fn changed(&self, workflow: &ComputeWorkflow, to: &ComputeWorkflowStatus) {
        for event in stage_events(workflow.status.as_ref(), to) {
            self.tell(workflow, &event).await;
        }
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
        self.tell(workflow, &event).await;
    }

    async fn tell(&self, workflow: &ComputeWorkflow, event: &Event) {
        if let Err(error) = self.0.publish(event, &workflow.object_ref(&())).await {
            tracing::debug!(%error, "an event could not be written");
        }
    }
}

/// What became of stages: that one is repeated, and that one failed or is ended, and why. Enumerated words only.
fn stage_events(from: Option<&ComputeWorkflowStatus>, to: &ComputeWorkflowStatus) -> Vec<Event> {
    let known = |stage: &StageStatus| {
        let earlier = from.into_iter().flat_map(|from| &from.stages);
        earlier
            .into_iter()
            .find(|earlier| earlier.job_uid == stage.job_uid)
    };
    let mut events = Vec::new();
    for stage in &to.stages {
        let earlier = known(stage);
        if earlier.is_none() && stage.repetition > 0 {
            events.push(Event {
                type_: EventType::Normal,
                reason: "StageRepeated".to_owned(),
                note: Some(format!(
                    "{} runs again, for the {}. time.",
                    stage.stage, stage.repetition
                )),
                action: camel_case(stage.stage.as_str()),
                secondary: None,
            });
        }
        let reason = stage
            .reason
            .filter(|_| earlier.and_then(|it| it.reason) != stage.reason);
        if let Some(reason) = reason {
            let is_wanted = reason.outcome() == Outcome::Stopped;
            events.push(Event {
                type_: if is_wanted {
                    EventType::Normal
                } else {
                    EventType::Warning
                },
                reason: camel_case(reason.as_str()),
                note: Some(format!("{}: {}", stage.stage, reason.sentence())),
                action: camel_case(stage.stage.as_str()),
                secondary: None,
            });
        }
    }
    events
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
    use crate::engine::Stage;
    use crate::jobs::Reason;

    #[test]
    fn a_stage_s_fate_is_told_once() {
        let mut before = ComputeWorkflowStatus::default();
        let begun = StageStatus::begun(Stage::Publish, 1, "job".to_owned(), "uid".to_owned());
        before.stages.push(begun.clone());
        let mut after = before.clone();
        after.stages[0].reason = Some(Reason::Evicted);
        let told = stage_events(Some(&before), &after);
        let reasons: Vec<_> = told.iter().map(|event| event.reason.as_str()).collect();
        assert_eq!(reasons, ["Evicted"]);
        assert!(stage_events(Some(&after), &after).is_empty());
        let mut repeated = after.clone();
        repeated.stages.push(StageStatus {
            repetition: 1,
            job_uid: "other".to_owned(),
            ..begun
        });
        let told = stage_events(Some(&after), &repeated);
        assert_eq!(told[0].reason, "StageRepeated");
    }

    #[test]
    fn words_become_reasons_as_kubernetes_writes_them() {
        assert_eq!(camel_case("timed_out"), "TimedOut");
        assert_eq!(camel_case("running"), "Running");
    }
}
