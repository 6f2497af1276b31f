//! What each role may do in the cluster, and whether the account that asks may.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Client;
use kube::api::{Api, PostParams};

use super::error::{Attempt, Error};

/// Some verbs on one kind of object, in the jobs' namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// API group; empty for the core.
    pub group: &'static str,
    /// Resource, with its subresource after a slash.
    pub resource: &'static str,
    /// Verbs.
    pub verbs: &'static [&'static str],
}

const fn rights(
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
) -> Rights {
    Rights {
        group,
        resource,
        verbs,
    }
}

const OURS: &str = "compute.tidewatch.dev";

const DISPATCHER: &[Rights] = &[
    rights(OURS, "computeworkflows", &["create", "get", "patch"]),
    rights("", "secrets", &["create"]),
];
const OPERATOR: &[Rights] = &[
    rights(OURS, "computeworkflows", &["get", "list", "watch"]),
    rights(OURS, "computeworkflows/status", &["patch"]),
    rights(OURS, "computeworkflows/finalizers", &["patch", "update"]),
    rights(
        "batch",
        "jobs",
        &["create", "get", "list", "watch", "delete"],
    ),
    rights(
        "",
        "persistentvolumeclaims",
        &["create", "get", "list", "watch", "delete"],
    ),
    rights(
        "",
        "pods",
        &["create", "get", "list", "watch", "patch", "delete"],
    ),
    rights("", "events", &["create", "list", "watch"]),
    rights("events.k8s.io", "events", &["create", "list", "watch"]),
    rights("", "secrets", &["delete"]),
];
const OBSERVER: &[Rights] = &[rights(OURS, "computeworkflows", &["get", "list", "watch"])];
const COLLECTOR: &[Rights] = &[
    rights("", "pods", &["get", "list", "watch"]),
    rights("", "pods/log", &["get"]),
    rights(OURS, "computeworkflows", &["get", "patch"]),
];
const REAPER: &[Rights] = &[rights(
    OURS,
    "computeworkflows",
    &["get", "patch", "delete"],
)];

/// What a role of `deploy/service-accounts.yaml` is granted, which is what its work needs. Empty for roles that do not touch the cluster.
pub fn granted(role: &str) -> &'static [Rights] {
    match role {
        "dispatcher" => DISPATCHER,
        "operator" => OPERATOR,
        "observer" => OBSERVER,
        "collector" => COLLECTOR,
        "reaper" => REAPER,
        _ => &[],
    }
}

/// Those of a role's rights that the client's account lacks in a namespace, each as `verb resource`. The API server is asked what it
/// would say; nothing is tried.
///
/// # Errors
/// [`Error::Request`] when it cannot be asked. Asking is allowed to every account (the default cluster role `system:basic-user`).
pub async fn lacking(client: &Client, namespace: &str, role: &str) -> Result<Vec<String>, Error> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let mut lacking = Vec::new();
    for wanted in granted(role) {
        let (resource, subresource) = match wanted.resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
            None => (wanted.resource, None),
        };
        for verb in wanted.verbs {
            let asked = SelfSubjectAccessReview {
                spec: SelfSubjectAccessReviewSpec {
                    resource_attributes: Some(ResourceAttributes {
                        group: Some(wanted.group.to_owned()),
                        namespace: Some(namespace.to_owned()),
                        resource: Some(resource.to_owned()),
                        subresource: subresource.clone(),
                        verb: Some((*verb).to_owned()),
                        ..ResourceAttributes::default()
                    }),
                    ..SelfSubjectAccessReviewSpec::default()
                },
                ..SelfSubjectAccessReview::default()
            };
            let answer = reviews
                .create(&PostParams::default(), &asked)
                .await
                .attempt(|| format!("ask whether {} may be used", wanted.resource))?;
            if !answer.status.is_some_and(|status| status.allowed) {
                lacking.push(format!("{verb} {}", wanted.resource));
            }
        }
    }
    Ok(lacking)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// (group, resource, verb) of a role in `deploy/`.
    fn deployed(role: &str) -> BTreeSet<(String, String, String)> {
        let text = include_str!("../../deploy/service-accounts.yaml");
        let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
        let name = format!("tidewatch-{role}");
        let found = documents
            .iter()
            .find(|document| document["kind"] == "Role" && document["metadata"]["name"] == *name)
            .unwrap();
        let words = |value: &Value| -> Vec<String> {
            let words = value.as_array().unwrap().iter();
            words
                .map(|word| word.as_str().unwrap().to_owned())
                .collect()
        };
        let mut rights = BTreeSet::new();
        for rule in found["rules"].as_array().unwrap() {
            for group in words(&rule["apiGroups"]) {
                for resource in words(&rule["resources"]) {
                    for verb in words(&rule["verbs"]) {
                        rights.insert((group.clone(), resource.clone(), verb));
                    }
                }
            }
        }
        rights
    }

    #[test]
    fn what_is_asked_for_is_what_deploy_grants() {
        for role in ["dispatcher", "operator", "observer", "collector", "reaper"] {
            let asked: BTreeSet<_> = granted(role)
                .iter()
                .flat_map(|rights| {
                    let verbs = rights.verbs.iter();
                    verbs.map(|verb| {
                        (
                            rights.group.to_owned(),
                            rights.resource.to_owned(),
                            (*verb).to_owned(),
                        )
                    })
                })
                .collect();
            assert_eq!(asked, deployed(role), "{role}");
        }
        assert_eq!(granted("api"), []);
    }
}
