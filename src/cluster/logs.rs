use bytes::Bytes;
use futures::io::{AsyncRead, AsyncReadExt};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};

use super::error::{Attempt, Error};
use super::manifests::container_of;
use super::workflow::ComputeWorkflow;
use crate::engine::{LogStream, Stage};

/// Bytes read of a log at a time.
const PIECE: usize = 16 * 1024;

/// The recorded pod of a stage, whose container log can be read.
#[derive(Debug)]
pub(super) struct StagePod {
    pods: Api<Pod>,
    name: String,
    stage: Stage,
}

impl StagePod {
    /// The pod that the operator recorded for that stage of that attempt.
    pub(super) fn of(
        workflow: &ComputeWorkflow,
        attempt: u32,
        stage: Stage,
        pods: Api<Pod>,
    ) -> Option<Self> {
        let known = workflow.status.as_ref()?.stages.iter();
        let status = known
            .filter(|status| status.attempt == attempt && status.stage == stage)
            .find(|status| status.started_at.is_some())?;
        Some(Self {
            pods,
            name: status.pod_name.clone()?,
            stage,
        })
    }

    /// The log from its first byte, and on while the container runs. `None` when the kubelet has nothing to show.
    pub(super) async fn follow(self) -> Result<Option<LogStream<Error>>, Error> {
        let Some(reader) = self.open().await? else {
            return Ok(None);
        };
        let pod = self.name;
        let pieces = stream::unfold(Some(Box::pin(reader)), move |reader| {
            let pod = pod.clone();
            async move {
                let mut reader = reader?;
                let mut piece = vec![0; PIECE];
                match reader.read(&mut piece).await {
                    Ok(0) => None,
                    Ok(length) => {
                        piece.truncate(length);
                        Some((Ok(Bytes::from(piece)), Some(reader)))
                    }
                    Err(source) => Some((Err(Error::Log { pod, source }), None)),
                }
            }
        });
        Ok(Some(pieces.boxed()))
    }

    /// 404: the pod is gone. 400: the container has not started, or the kubelet has no log of it.
    async fn open(&self) -> Result<Option<impl AsyncRead + use<>>, Error> {
        let parameters = LogParams {
            container: Some(container_of(self.stage).to_owned()),
            follow: true,
            ..LogParams::default()
        };
        match self.pods.log_stream(&self.name, &parameters).await {
            Ok(reader) => Ok(Some(reader)),
            Err(kube::Error::Api(status)) if matches!(status.code, 400 | 404) => Ok(None),
            Err(error) => Err(error).attempt(|| format!("read the log of pod {}", self.name)),
        }
    }
}
