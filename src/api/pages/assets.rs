//! The style, the script and the mark, from the program itself: under names that change with their content, so that they may be kept.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::api::problem::Problem;
use crate::api::segment::Segment;

/// A file that pages need.
#[derive(Debug)]
pub(super) struct Asset {
    /// Its name, with its content's hash.
    name: String,
    kind: &'static str,
    content: &'static str,
}

/// How pages look.
pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", include_str!("page.css")));

/// What makes them live.
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "js",
        "text/javascript; charset=utf-8",
        include_str!("page.js"),
    )
});

/// The mark in a browser's tab.
pub(super) static MARK: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("svg", "image/svg+xml", include_str!("mark.svg")));

impl Asset {
    fn new(ending: &str, kind: &'static str, content: &'static str) -> Self {
        let digest = alloy::hex::encode(&Sha256::digest(content)[..6]);
        Self {
            name: format!("page.{digest}.{ending}"),
            kind,
            content,
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

/// `GET /assets/{name}`: one of them. What has its hash in its name never changes.
pub(super) async fn show(Segment(name): Segment) -> Result<Response, Problem> {
    let assets: [&Asset; 3] = [&STYLE, &SCRIPT, &MARK];
    let asset = assets.into_iter().find(|asset| asset.name == name);
    let asset = asset.ok_or_else(Problem::unknown_path)?;
    let headers = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    Ok((headers, asset.content).into_response())
}
