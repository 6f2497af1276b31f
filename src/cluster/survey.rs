//! What the cluster has of what the settings name: looked at before the first job needs it.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Client;
use kube::api::{Api, ListParams};

use super::error::{Attempt, Error};
use super::workflow::AccessMode;

/// Marks the class that claims without one get (Kubernetes documentation, "Default StorageClass").
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";
/// The label by which Pod Security is told what to enforce.
const ENFORCED: &str = "pod-security.kubernetes.io/enforce";

/// Provisioners whose volumes hang on one node at a time, so that `ReadWriteMany` is not given by them (Kubernetes documentation,
/// "Persistent Volumes", access modes, and each driver's own).
const ONE_NODE: [&str; 9] = [
    "ebs.csi.aws.com",
    "kubernetes.io/aws-ebs",
    "pd.csi.storage.gke.io",
    "kubernetes.io/gce-pd",
    "disk.csi.azure.com",
    "kubernetes.io/azure-disk",
    "cinder.csi.openstack.org",
    "rancher.io/local-path",
    "kubernetes.io/no-provisioner",
];

/// A part of the cluster, looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is as it must be.
    Well(String),
    /// It is not; how to mend it is said.
    Wrong(String),
    /// The account may not look, which says nothing.
    Unseen(String),
}

/// Whether claims will get volumes of the class and mode.
///
/// # Errors
/// [`Error::Request`] when the API server does not answer.
pub async fn storage(
    client: &Client,
    class: Option<&str>,
    mode: AccessMode,
) -> Result<Found, Error> {
    let classes: Api<StorageClass> = Api::all(client.clone());
    let listed = match classes.list(&ListParams::default()).await {
        Err(error) if is_forbidden(&error) => {
            return Ok(unseen("storage classes", "list storageclasses"));
        }
        listed => listed.attempt(|| "list the storage classes".to_owned())?,
    };
    Ok(judge_storage(&listed.items, class, mode))
}

fn judge_storage(classes: &[StorageClass], class: Option<&str>, mode: AccessMode) -> Found {
    let name = |class: &StorageClass| class.metadata.name.clone().unwrap_or_default();
    let is_default = |class: &&StorageClass| {
        let notes = class.metadata.annotations.as_ref();
        notes
            .and_then(|notes| notes.get(DEFAULT_CLASS))
            .map(String::as_str)
            == Some("true")
    };
    let chosen = match class {
        Some(wanted) => classes.iter().find(|class| name(class) == wanted),
        None => classes.iter().find(is_default),
    };
    let Some(chosen) = chosen else {
        let known: Vec<_> = classes.iter().map(name).collect();
        let known = match known.as_slice() {
            [] => "there is none".to_owned(),
            known => format!("there are {}", known.join(", ")),
        };
        return Found::Wrong(match class {
            Some(wanted) => format!(
                "the cluster has no storage class {wanted} ({known}): set TIDEWATCH_STORAGE_CLASS to one that it has"
            ),
            None => format!(
                "the cluster has no default storage class ({known}): set TIDEWATCH_STORAGE_CLASS"
            ),
        });
    };
    let (shown, by) = (name(chosen), &chosen.provisioner);
    let mode_word = mode.as_str();
    match mode {
        AccessMode::ReadWriteMany if ONE_NODE.contains(&by.as_str()) => Found::Wrong(format!(
            "volumes of storage class {shown} ({by}) hang on one node, and TIDEWATCH_ACCESS_MODE is {mode_word}: use ReadWriteOnce, or another class"
        )),
        AccessMode::ReadWriteOncePod if by.starts_with("kubernetes.io/") => Found::Wrong(format!(
            "{mode_word} needs a CSI driver, and storage class {shown} is of {by}: use ReadWriteOnce"
        )),
        _ => Found::Well(format!(
            "claims get {mode_word} volumes of class {shown}, made by {by}"
        )),
    }
}

/// Whether the sandbox that algorithms are to run in is there.
///
/// # Errors
/// [`Error::Request`] when the API server does not answer.
pub async fn sandbox(client: &Client, class: &str) -> Result<Found, Error> {
    let classes: Api<RuntimeClass> = Api::all(client.clone());
    match classes.get_opt(class).await {
        Err(error) if is_forbidden(&error) => Ok(unseen("runtime classes", "get runtimeclasses")),
        found => Ok(
            match found.attempt(|| format!("read runtime class {class}"))? {
                Some(found) => Found::Well(format!("algorithms run under {}", found.handler)),
                None => Found::Wrong(format!(
                    "the cluster has no runtime class {class}: install it, or change TIDEWATCH_RUNTIME_CLASS"
                )),
            },
        ),
    }
}

/// What keeps the jobs' namespace apart, as far as objects show it: Pod Security and a policy that denies everything. Whether the
/// network's plugin enforces policies no object says.
///
/// # Errors
/// [`Error::Request`] when the API server does not answer.
pub async fn isolation(client: &Client, namespace: &str) -> Result<Found, Error> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let policies: Api<NetworkPolicy> = Api::namespaced(client.clone(), namespace);
    let found = match namespaces.get_opt(namespace).await {
        Err(error) if is_forbidden(&error) => {
            return Ok(unseen("the jobs' namespace", "get namespaces"));
        }
        found => found.attempt(|| format!("read namespace {namespace}"))?,
    };
    let Some(found) = found else {
        return Ok(Found::Wrong(format!(
            "the cluster has no namespace {namespace}: apply deploy/, or change TIDEWATCH_NAMESPACE"
        )));
    };
    let labels = found.metadata.labels.unwrap_or_default();
    if labels.get(ENFORCED).map(String::as_str) != Some("restricted") {
        return Ok(Found::Wrong(format!(
            "namespace {namespace} does not enforce the Pod Security standard restricted: label it {ENFORCED}=restricted, as deploy/namespaces.yaml does"
        )));
    }
    let listed = match policies.list(&ListParams::default()).await {
        Err(error) if is_forbidden(&error) => {
            return Ok(unseen("network policies", "list networkpolicies"));
        }
        listed => listed.attempt(|| format!("list the network policies of {namespace}"))?,
    };
    Ok(if listed.items.iter().any(denies_everything) {
        Found::Well(format!(
            "{namespace} enforces restricted pods, and has a policy that denies all traffic; whether the network enforces it is known only from inside a pod"
        ))
    } else {
        Found::Wrong(format!(
            "namespace {namespace} has no network policy that denies all traffic of every pod: apply deploy/network-policies.yaml. Until then only the guard inside the pod keeps algorithms off the network"
        ))
    })
}

/// A policy for every pod, both ways, that allows nothing.
fn denies_everything(policy: &NetworkPolicy) -> bool {
    policy.spec.as_ref().is_some_and(|spec| {
        let selector = spec.pod_selector.clone().unwrap_or_default();
        let types = spec.policy_types.clone().unwrap_or_default();
        let is_both = ["Ingress", "Egress"]
            .iter()
            .all(|way| types.iter().any(|named| named == way));
        selector == k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector::default()
            && is_both
            && spec.ingress.as_ref().is_none_or(Vec::is_empty)
            && spec.egress.as_ref().is_none_or(Vec::is_empty)
    })
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

fn unseen(what: &str, right: &str) -> Found {
    Found::Unseen(format!(
        "this account may not look at {what}: run check with one that may {right}"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn class(name: &str, provisioner: &str, is_default: bool) -> StorageClass {
        let notes = json!({DEFAULT_CLASS: is_default.to_string()});
        let object: Value =
            json!({"metadata": {"name": name, "annotations": notes}, "provisioner": provisioner});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn storage_is_there_and_gives_the_mode() {
        let classes = [
            class("fast", "ebs.csi.aws.com", true),
            class("shared", "nfs.csi.k8s.io", false),
            class("old", "kubernetes.io/aws-ebs", false),
        ];
        let (once, many) = (AccessMode::ReadWriteOnce, AccessMode::ReadWriteMany);
        let pod = AccessMode::ReadWriteOncePod;
        for (known, wanted, mode, said) in [
            (&classes[..], None, once, "volumes of class fast"),
            (&classes, Some("shared"), many, "volumes of class shared"),
            (&classes, None, many, "use ReadWriteOnce, or another class"),
            (&classes, Some("old"), pod, "needs a CSI driver"),
            (
                &classes,
                Some("slow"),
                once,
                "no storage class slow (there are fast, shared, old)",
            ),
            (&classes[1..], None, once, "no default storage class"),
            (&[], None, once, "there is none"),
        ] {
            let found = judge_storage(known, wanted, mode);
            let is_well = said.starts_with("volumes of");
            let (Found::Well(told) | Found::Wrong(told) | Found::Unseen(told)) = &found;
            assert!(told.contains(said), "{told}");
            assert_eq!(matches!(found, Found::Well(_)), is_well, "{told}");
        }
    }

    #[test]
    fn only_a_policy_for_every_pod_that_allows_nothing_denies_everything() {
        let policy = |spec: Value| -> NetworkPolicy {
            serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap()
        };
        let both = json!(["Ingress", "Egress"]);
        assert!(denies_everything(&policy(
            json!({"podSelector": {}, "policyTypes": both})
        )));
        for spec in [
            json!({"podSelector": {"matchLabels": {"a": "b"}}, "policyTypes": both}),
            json!({"podSelector": {}, "policyTypes": ["Ingress"]}),
            json!({"podSelector": {}, "policyTypes": both, "egress": [{}]}),
        ] {
            assert!(!denies_everything(&policy(spec)));
        }
    }
}
