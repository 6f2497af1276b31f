//! Whether an admitted pod is the one that was rendered. Pure.
//!
//! Admission webhooks, policies and other people's controllers may add containers, mounts, variables, tokens or rights to a pod
//! between its rendering and its storing. The algorithm's pod waits behind a scheduling gate until it was compared field by
//! field. Everything has to be equal but for what places or ranks a pod, which `PLACEMENT` names; what is not known to be
//! harmless is a difference.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Map, Value};

use super::manifests::RELEASE_GATE;
use crate::workflows::Quantity;

/// What our own labels begin with.
const OURS: &str = "compute.tidewatch.dev/";

/// Fields of a pod that the cluster may set as it likes: where it runs, when, and under which name it asks for images. A service
/// account's name is no right: the token is not mounted, and that is compared.
const PLACEMENT: [&str; 13] = [
    "affinity",
    "imagePullSecrets",
    "nodeSelector",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "schedulerName",
    "schedulingGates",
    "serviceAccount",
    "serviceAccountName",
    "tolerations",
    "topologySpreadConstraints",
];

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// The gate is not there (any more), so the pod may already run.
    #[error("the scheduling gate is missing")]
    NoGate,
    /// A label that policies select by.
    #[error("label {0} is not as rendered")]
    Label(String),
    /// A field of the pod's spec, by its path.
    #[error("{0} is not as rendered")]
    Field(String),
}

/// Compares the pod that a Job's template asks for with the one that was admitted.
///
/// # Errors
/// The first [`Difference`]; it names the place and no value.
pub fn compare(rendered: &Job, admitted: &Pod) -> Result<(), Difference> {
    if !is_gated(admitted) {
        return Err(Difference::NoGate);
    }
    let template = rendered.spec.as_ref().map(|spec| &spec.template);
    let wanted_labels = template
        .and_then(|template| template.metadata.as_ref()?.labels.as_ref())
        .cloned()
        .unwrap_or_default();
    let labels = admitted.metadata.labels.clone().unwrap_or_default();
    if let Some(label) = changed_label(&wanted_labels, &labels) {
        return Err(Difference::Label(label));
    }
    let wanted = comparable(&template.and_then(|template| template.spec.as_ref()));
    let found = comparable(&admitted.spec);
    match first_difference("spec", &wanted, &found) {
        Some(path) => Err(Difference::Field(path)),
        None => Ok(()),
    }
}

/// Whether the pod still waits for its release.
pub fn is_gated(pod: &Pod) -> bool {
    gate_index(pod).is_some()
}

/// Where in the pod's list of gates ours is.
pub fn gate_index(pod: &Pod) -> Option<usize> {
    let gates = pod.spec.as_ref()?.scheduling_gates.as_ref()?;
    gates.iter().position(|gate| gate.name == RELEASE_GATE)
}

/// A label of ours that is not as rendered, or that was put there: one opens the network. Others may put labels of their own.
fn changed_label(
    wanted: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
) -> Option<String> {
    let ours = found.keys().filter(|key| key.starts_with(OURS));
    let mut keys = wanted.keys().chain(ours);
    keys.find(|key| found.get(*key) != wanted.get(*key))
        .cloned()
}

fn comparable(spec: &impl serde::Serialize) -> Value {
    let mut value = serde_json::to_value(spec).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        for field in PLACEMENT {
            fields.remove(field);
        }
    }
    normalise(&mut value);
    value
}

/// Takes away what means nothing (nulls, empty texts, lists and objects, which the server leaves out) and writes quantities in one form: the server stores `0.5` as
/// `500m`.
fn normalise(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for key in ["limits", "requests"] {
                if let Some(Value::Object(quantities)) = fields.get_mut(key) {
                    quantities.values_mut().for_each(canonical_quantity);
                }
            }
            if let Some(limit) = fields.get_mut("sizeLimit") {
                canonical_quantity(limit);
            }
            fields.values_mut().for_each(normalise);
            let kept = std::mem::take(fields)
                .into_iter()
                .filter(|(_, field)| !is_nothing(field));
            *fields = kept.collect::<Map<_, _>>();
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        _ => {}
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn canonical_quantity(value: &mut Value) {
    if let Some(Ok(quantity)) = value.as_str().map(str::parse::<Quantity>) {
        *value = Value::String(format!("{} billionths", quantity.billionths()));
    }
}

fn first_difference(path: &str, wanted: &Value, found: &Value) -> Option<String> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            let missing = &Value::Null;
            let keys = wanted.keys().chain(found.keys());
            keys.into_iter().find_map(|key| {
                let wanted = wanted.get(key).unwrap_or(missing);
                let found = found.get(key).unwrap_or(missing);
                first_difference(&format!("{path}.{key}"), wanted, found)
            })
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            let pairs = wanted.iter().zip(found).enumerate();
            pairs.into_iter().find_map(|(index, (wanted, found))| {
                first_difference(&format!("{path}[{index}]"), wanted, found)
            })
        }
        _ => (wanted != found).then(|| path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Container, EnvVar, PodSpec, Toleration, Volume, VolumeMount};

    use super::*;
    use crate::cluster::fixture;
    use crate::cluster::manifests::{Subject, algorithm};

    fn rendered() -> Job {
        let workflow = fixture::workflow(1);
        algorithm(&Subject::new(&workflow, 1).unwrap())
    }

    #[test]
    fn what_only_places_a_pod_is_no_difference() {
        let rendered = rendered();
        let mut pod = fixture::admitted(&rendered, "pod");
        assert_eq!(compare(&rendered, &pod), Ok(()));
        let spec = pod.spec.as_mut().unwrap();
        spec.service_account_name = Some("default".to_owned());
        spec.priority = Some(0);
        spec.tolerations = Some(vec![Toleration::default()]);
        let limits = spec.containers[0].resources.as_mut().unwrap();
        let memory = limits.limits.as_mut().unwrap().get_mut("memory").unwrap();
        memory.0 = "1024Mi".to_owned();
        assert_eq!(compare(&rendered, &pod), Ok(()));
    }

    #[test]
    fn whatever_could_give_the_algorithm_more_is_a_difference() {
        type Change = fn(&mut PodSpec);
        let changes: [(&str, Change); 14] = [
            ("another container", |spec| {
                spec.containers.push(Container::default());
            }),
            ("another init container", |spec| {
                spec.init_containers
                    .as_mut()
                    .unwrap()
                    .push(Container::default());
            }),
            ("image", |spec| {
                spec.containers[0].image = Some("other".to_owned());
            }),
            ("command", |spec| {
                spec.containers[0].command.as_mut().unwrap().remove(0);
            }),
            ("variable", |spec| {
                let env = spec.containers[0].env.as_mut().unwrap();
                env.push(EnvVar::default());
            }),
            ("volume", |spec| {
                spec.volumes.as_mut().unwrap().push(Volume::default());
            }),
            ("mount", |spec| {
                let mounts = spec.containers[0].volume_mounts.as_mut().unwrap();
                mounts.push(VolumeMount::default());
            }),
            ("inputs writable", |spec| {
                spec.containers[0].volume_mounts.as_mut().unwrap()[0].read_only = None;
            }),
            ("privileged", |spec| {
                let context = spec.containers[0].security_context.as_mut().unwrap();
                context.privileged = Some(true);
            }),
            ("user", |spec| {
                spec.security_context.as_mut().unwrap().run_as_user = Some(1);
            }),
            ("host network", |spec| spec.host_network = Some(true)),
            ("shared processes", |spec| {
                spec.share_process_namespace = Some(true);
            }),
            ("runtime class", |spec| {
                spec.runtime_class_name = Some("other".to_owned());
            }),
            ("token", |spec| {
                spec.automount_service_account_token = Some(true);
            }),
        ];
        let rendered = rendered();
        for (what, change) in changes {
            let mut pod = fixture::admitted(&rendered, "pod");
            change(pod.spec.as_mut().unwrap());
            let found = compare(&rendered, &pod);
            assert!(
                matches!(found, Err(Difference::Field(_))),
                "{what}: {found:?}"
            );
        }
    }

    #[test]
    fn a_missing_gate_and_a_changed_label_are_differences() {
        let rendered = rendered();
        let mut pod = fixture::admitted(&rendered, "pod");
        pod.spec.as_mut().unwrap().scheduling_gates = None;
        assert_eq!(compare(&rendered, &pod), Err(Difference::NoGate));
        let mut pod = fixture::admitted(&rendered, "pod");
        let labels = pod.metadata.labels.as_mut().unwrap();
        labels.insert(
            "compute.tidewatch.dev/stage".to_owned(),
            "configure".to_owned(),
        );
        let found = compare(&rendered, &pod);
        assert!(matches!(found, Err(Difference::Label(_))), "{found:?}");
    }

    #[test]
    fn a_label_of_ours_that_was_put_there_is_a_difference_and_one_of_others_is_none() {
        let rendered = rendered();
        let mut pod = fixture::admitted(&rendered, "pod");
        let labels = pod.metadata.labels.as_mut().unwrap();
        labels.insert("mesh.test/injected".to_owned(), "true".to_owned());
        assert_eq!(compare(&rendered, &pod), Ok(()));
        let network = "compute.tidewatch.dev/network";
        let labels = pod.metadata.labels.as_mut().unwrap();
        labels.insert(network.to_owned(), "allowed".to_owned());
        let found = compare(&rendered, &pod);
        assert_eq!(found, Err(Difference::Label(network.to_owned())));
    }
}
