//! The demo's own place in the cluster: a namespace like the one that `deploy/` makes, with the Secret for results.

use std::collections::BTreeMap;

use anyhow::Context;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};

use crate::cluster;

/// The policies that operators apply, so that the demo shows the same walls.
const POLICIES: &str = include_str!("../../../deploy/network-policies.yaml");
/// The policy for admission and its binding, which are the whole cluster's like the custom resource definition.
const ADMISSION: &str = include_str!("../../../deploy/admission-policy.yaml");

/// A namespace of the demo's own.
#[derive(Clone)]
pub(super) struct Place {
    client: Client,
    name: String,
}

impl Place {
    /// Makes the namespace. `definition` says whether the custom resource definition may be installed as well.
    pub(super) async fn make(client: Client, name: &str, definition: bool) -> anyhow::Result<Self> {
        let place = Self {
            client,
            name: name.to_owned(),
        };
        if definition {
            place
                .install_definition()
                .await
                .context("could not install the custom resource definition")?;
            place
                .install_admission()
                .await
                .context("could not install the policy for admission")?;
        }
        let labels = ["enforce", "warn", "audit"].map(|mode| {
            (
                format!("pod-security.kubernetes.io/{mode}"),
                "restricted".to_owned(),
            )
        });
        let mut labels = BTreeMap::from(labels);
        labels.insert("compute.tidewatch.dev/jobs".to_owned(), "true".to_owned());
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels),
            ..ObjectMeta::default()
        };
        let namespace = Namespace {
            metadata,
            ..Namespace::default()
        };
        let namespaces: Api<Namespace> = Api::all(place.client.clone());
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .with_context(|| format!("could not make the namespace {name}"))?;
        let policies: Api<NetworkPolicy> = place.api();
        for mut policy in serde_saphyr::from_multiple::<NetworkPolicy>(POLICIES)? {
            policy.metadata.namespace = None;
            policies.create(&PostParams::default(), &policy).await?;
        }
        Ok(place)
    }

    async fn install_definition(&self) -> anyhow::Result<()> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let definition = cluster::definition();
        let name = definition.name_any();
        let patch = Patch::Apply(&definition);
        definitions
            .patch(&name, &PatchParams::apply("tidewatch-demo").force(), &patch)
            .await?;
        let established = kube::runtime::conditions::is_crd_established();
        let waiting = kube::runtime::wait::await_condition(definitions, &name, established);
        tokio::time::timeout(std::time::Duration::from_secs(30), waiting).await??;
        Ok(())
    }

    async fn install_admission(&self) -> anyhow::Result<()> {
        let ours = PatchParams::apply("tidewatch-demo").force();
        for document in serde_saphyr::from_multiple::<serde_json::Value>(ADMISSION)? {
            let name = document["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            if document["kind"] == "ValidatingAdmissionPolicy" {
                let policies: Api<ValidatingAdmissionPolicy> = Api::all(self.client.clone());
                policies
                    .patch(&name, &ours, &Patch::Apply(&document))
                    .await?;
            } else {
                let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(self.client.clone());
                bindings
                    .patch(&name, &ours, &Patch::Apply(&document))
                    .await?;
            }
        }
        Ok(())
    }

    /// Makes a Secret.
    pub(super) async fn secret(&self, name: &str, data: &[(&str, &str)]) -> anyhow::Result<()> {
        let data = data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            string_data: Some(data),
            ..Secret::default()
        };
        let secrets: Api<Secret> = self.api();
        secrets.create(&PostParams::default(), &secret).await?;
        Ok(())
    }

    /// The namespace's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The algorithms' pods of a job that are there now.
    pub(super) async fn algorithm_pods(&self, job: &str) -> anyhow::Result<usize> {
        let pods: Api<k8s_openapi::api::core::v1::Pod> = self.api();
        let selector = format!("workflow={job},component=algorithm");
        Ok(pods
            .list(&kube::api::ListParams::default().labels(&selector))
            .await?
            .items
            .len())
    }

    /// The workflows that are there now.
    pub(super) async fn workflows(&self) -> anyhow::Result<usize> {
        let workflows: Api<cluster::ComputeWorkflow> = self.api();
        Ok(workflows
            .list(&kube::api::ListParams::default())
            .await?
            .items
            .len())
    }

    /// Removes the namespace and all that is in it.
    pub(super) async fn remove(&self) -> anyhow::Result<()> {
        let workflows: Api<cluster::ComputeWorkflow> = self.api();
        // nobody is left who would drop the finalizers
        let free = Patch::Merge(serde_json::json!({"metadata": {"finalizers": null}}));
        for workflow in workflows
            .list(&kube::api::ListParams::default())
            .await?
            .items
        {
            workflows
                .patch(&workflow.name_any(), &PatchParams::default(), &free)
                .await?;
        }
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces
            .delete(&self.name, &DeleteParams::default())
            .await?;
        Ok(())
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }
}
