use crate::app::config::{Environment, ServiceConfig, ServiceOptions};
use crate::app::{service, telemetry};

/// Runs the service until it is told to stop.
pub(in crate::app) async fn run(
    options: &ServiceOptions,
    environment: &Environment,
) -> anyhow::Result<()> {
    let config = ServiceConfig::read(options, environment)?;
    telemetry::start_logging(options.log_format.as_deref(), environment.get("RUST_LOG"))?;
    let supervisor = service::start(config).await?;
    tracing::info!("ready");
    supervisor.run().await
}
