use tidewatch::documents::{Documents, Error};
use tidewatch::workflows::{Finding, ImageFacts, Want};

use crate::support::documents::Web;
use crate::support::registry::{Registry, configuration};

/// How OCI calls this machine's architecture.
const HERE: &str = if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    "amd64"
};

fn image(registry: &Registry, repository: &str, tag: Option<&str>, digest: Option<&str>) -> Want {
    Want::Image {
        name: format!("{}/{repository}", registry.host),
        tag: tag.map(str::to_owned),
        digest: digest.map(str::to_owned),
    }
}

async fn wrong(documents: &Documents, want: &Want) -> String {
    match documents.find(want).await {
        Ok(Finding::Wrong(sentence)) => sentence,
        other => panic!("{want:?}: {other:?}"),
    }
}

#[tokio::test]
async fn a_tag_becomes_the_platforms_digest_and_the_image_tells_its_volumes() {
    let web = Web::new();
    let (documents, registry) = (web.documents(), Registry::start(&web).await);
    let facts = |digest: &str, volumes: &[&str]| {
        Finding::Image(ImageFacts {
            digest: digest.to_owned(),
            volumes: volumes.iter().map(|it| (*it).to_owned()).collect(),
        })
    };
    let plain = registry
        .image("algorithms/mean", "1", &configuration(&["/data/outputs"]))
        .await;
    let by_tag = image(&registry, "algorithms/mean", Some("1"), None);
    assert_eq!(
        documents.find(&by_tag).await.unwrap(),
        facts(&plain, &["/data/outputs"])
    );

    let (mine, other) = (
        registry.image("multi", "mine", &configuration(&[])).await,
        registry
            .image("multi", "other", &configuration(&["/var/lib"]))
            .await,
    );
    let index = registry
        .index("multi", "1", &[("s390x", &other), (HERE, &mine)])
        .await;
    let by_tag = image(&registry, "multi", Some("1"), None);
    assert_eq!(documents.find(&by_tag).await.unwrap(), facts(&mine, &[]));
    let pinned = image(&registry, "multi", Some("other"), Some(&index));
    assert_eq!(
        documents.find(&pinned).await.unwrap(),
        facts(&mine, &[]),
        "the digest counts, not the tag"
    );

    // The tag moves on; what was pinned stays what it was.
    registry
        .image("multi", "1", &configuration(&["/var/lib"]))
        .await;
    assert_eq!(documents.find(&pinned).await.unwrap(), facts(&mine, &[]));
    assert_ne!(documents.find(&by_tag).await.unwrap(), facts(&mine, &[]));
}

#[tokio::test]
async fn what_a_registry_cannot_say_refuses_a_tag_and_leaves_a_pinned_image_as_it_is() {
    let web = Web::new();
    let (documents, mut registry) = (web.documents(), Registry::start(&web).await);
    let foreign = registry.image("foreign", "only", &configuration(&[])).await;
    registry.index("foreign", "1", &[("s390x", &foreign)]).await;
    registry.image("large", "1", &vec![b' '; 5 << 20]).await;
    registry.image("odd", "1", b"[]").await;
    for (repository, tag) in [
        ("foreign", "1"),
        ("large", "1"),
        ("odd", "1"),
        ("foreign", "no"),
        ("none", "1"),
    ] {
        let sentence = wrong(&documents, &image(&registry, repository, Some(tag), None)).await;
        assert!(
            sentence.contains("cannot be resolved"),
            "{repository}: {sentence}"
        );
    }
    let nowhere = format!("sha256:{}", "ab".repeat(32));
    let pinned = image(&registry, "none", None, Some(&nowhere));
    assert_eq!(documents.find(&pinned).await.unwrap(), Finding::Unknown);

    registry.stop();
    let by_tag = documents
        .find(&image(&registry, "foreign", Some("only"), None))
        .await;
    assert!(matches!(by_tag, Err(Error::Registry { .. })), "{by_tag:?}");
    let pinned = image(&registry, "foreign", None, Some(&foreign));
    assert_eq!(documents.find(&pinned).await.unwrap(), Finding::Unknown);
}
