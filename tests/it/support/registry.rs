//! A real OCI registry (Debian's `docker-registry`) over https, with images that a test pushes.

use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::documents::Web;
use super::logged_address;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A registry; it ends with this value.
pub(crate) struct Registry {
    /// Where it answers: `127.0.0.1:port`, the first part of its images' names.
    pub(crate) host: String,
    client: reqwest::Client,
    process: Child,
    _directory: TempDir,
}

impl Registry {
    /// Starts one under a certificate of the web's authority.
    pub(crate) async fn start(web: &Web) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let (certificate, key) = web.certificate(&["127.0.0.1"]);
        std::fs::write(path("certificate"), certificate).unwrap();
        std::fs::write(path("key"), key).unwrap();
        let config = json!({
            "version": "0.1",
            "log": {"level": "info", "formatter": "json"},
            "storage": {"filesystem": {"rootdirectory": path("storage")}},
            "http": {"addr": "127.0.0.1:0", "secret": "x", "tls": {"certificate": path("certificate"), "key": path("key")}},
        });
        std::fs::write(path("config.yml"), config.to_string()).unwrap();
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(path("config.yml"))
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("docker-registry is installed: tests/equipment/packages registry");
        let host = logged_address(process.stderr.take().unwrap(), "listening on ").await;
        let authority = std::fs::read(web.settings().ca_file.unwrap()).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_merge([reqwest::Certificate::from_pem(&authority).unwrap()])
            .build()
            .unwrap();
        Self {
            host,
            client,
            process,
            _directory: directory,
        }
    }

    /// Ends it.
    pub(crate) fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Pushes an image of one empty layer with this configuration, and answers its manifest's digest.
    pub(crate) async fn image(&self, repository: &str, tag: &str, config: &[u8]) -> String {
        let layer = self.blob(repository, b"layer").await;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": config.len(),
                "digest": self.blob(repository, config).await},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": 5, "digest": layer}],
        });
        self.manifest(repository, tag, MANIFEST, &manifest).await
    }

    /// Pushes an index of images by their architecture, and answers its digest.
    pub(crate) async fn index(
        &self,
        repository: &str,
        tag: &str,
        images: &[(&str, &str)],
    ) -> String {
        let manifests: Vec<Value> = images
            .iter()
            .map(|(architecture, digest)| {
                json!({"mediaType": MANIFEST, "digest": digest, "size": 500,
                    "platform": {"os": "linux", "architecture": architecture}})
            })
            .collect();
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        self.manifest(repository, tag, INDEX, &index).await
    }

    async fn manifest(&self, repository: &str, tag: &str, kind: &str, manifest: &Value) -> String {
        let bytes = manifest.to_string();
        let url = format!("https://{}/v2/{repository}/manifests/{tag}", self.host);
        let put = self.client.put(url).header("Content-Type", kind);
        let answer = put.body(bytes.clone()).send().await.unwrap();
        assert!(answer.status().is_success(), "{:?}", answer.text().await);
        digest(bytes.as_bytes())
    }

    async fn blob(&self, repository: &str, bytes: &[u8]) -> String {
        let url = format!("https://{}/v2/{repository}/blobs/uploads/", self.host);
        let begun = self.client.post(url).send().await.unwrap();
        let location = begun.headers()["Location"].to_str().unwrap().to_owned();
        let digest = digest(bytes);
        let url = reqwest::Url::parse_with_params(&location, [("digest", &digest)]).unwrap();
        let put = self
            .client
            .put(url)
            .body(bytes.to_vec())
            .send()
            .await
            .unwrap();
        assert!(put.status().is_success(), "{:?}", put.text().await);
        digest
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Ended already, or now.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// An image's configuration that declares these volumes.
pub(crate) fn configuration(volumes: &[&str]) -> Vec<u8> {
    let volumes: serde_json::Map<_, _> = volumes
        .iter()
        .map(|it| ((*it).to_owned(), json!({})))
        .collect();
    json!({"architecture": "amd64", "os": "linux", "config": {"Volumes": volumes},
        "rootfs": {"type": "layers", "diff_ids": []}})
    .to_string()
    .into_bytes()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", alloy::hex::encode(Sha256::digest(bytes)))
}
