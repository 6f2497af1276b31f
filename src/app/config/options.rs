use std::path::PathBuf;

use clap::Args;

/// Settings of the service as flags; each stands for the variable of the same name.
#[derive(Args, Clone, Debug, Default)]
pub struct ServiceOptions {
    /// Parts to run, comma separated: all, follower, judge, resolver, dispatcher, observer, collector, reaper, operator, agent, api
    #[arg(long, default_value = "all")]
    pub role: String,

    /// Endpoints of the chain's nodes (http, https, ws, wss), comma separated
    #[arg(long, env = "TIDEWATCH_RPC_URLS", hide_env_values = true)]
    pub rpc_urls: Option<String>,

    /// Nodes that must name the same block hash before an event of it starts anything
    #[arg(long, env = "TIDEWATCH_QUORUM")]
    pub quorum: Option<String>,

    /// File with the keeper's deployment
    #[arg(long, env = "TIDEWATCH_KEEPER")]
    pub keeper: Option<PathBuf>,

    /// When work may start: finalized, safe, latest, or a depth in blocks
    #[arg(long, env = "TIDEWATCH_ACT_AT")]
    pub act_at: Option<String>,

    /// What may never roll back: finalized, or a depth in blocks
    #[arg(long, env = "TIDEWATCH_IRREVERSIBLE_AT")]
    pub irreversible_at: Option<String>,

    /// Conditions owed before this block start nothing
    #[arg(long, env = "TIDEWATCH_ACT_FROM_BLOCK")]
    pub act_from_block: Option<String>,

    /// The publisher's catalog
    #[arg(long, env = "TIDEWATCH_CATALOG")]
    pub catalog: Option<PathBuf>,

    /// Gateway through which ipfs:// documents are fetched
    #[arg(long, env = "TIDEWATCH_IPFS_GATEWAY")]
    pub ipfs_gateway: Option<String>,

    /// Further certificate authorities for fetching documents, a PEM file
    #[arg(long, env = "TIDEWATCH_CA_FILE")]
    pub ca_file: Option<PathBuf>,

    /// What runs the jobs: kubernetes
    #[arg(long, env = "TIDEWATCH_ENGINE")]
    pub engine: Option<String>,

    /// Namespace of the jobs
    #[arg(long, env = "TIDEWATCH_NAMESPACE")]
    pub namespace: Option<String>,

    /// Image of the stages, pinned by digest
    #[arg(long, env = "TIDEWATCH_IMAGE")]
    pub image: Option<String>,

    /// When a node pulls the image of the stages: Always, IfNotPresent or Never
    #[arg(long, env = "TIDEWATCH_IMAGE_PULL_POLICY")]
    pub image_pull_policy: Option<String>,

    /// Storage class of the jobs' volumes; the cluster's default if absent
    #[arg(long, env = "TIDEWATCH_STORAGE_CLASS")]
    pub storage_class: Option<String>,

    /// Access mode of the jobs' volumes: ReadWriteOnce or ReadWriteOncePod
    #[arg(long, env = "TIDEWATCH_ACCESS_MODE")]
    pub access_mode: Option<String>,

    /// Runtime class of the algorithm's pods
    #[arg(long, env = "TIDEWATCH_RUNTIME_CLASS")]
    pub runtime_class: Option<String>,

    /// Whether the jobs' pods get user namespaces of their own: on or off
    #[arg(long, env = "TIDEWATCH_USER_NAMESPACES")]
    pub user_namespaces: Option<String>,

    /// Whether an algorithm may run where the cluster was not seen to deny it the network: preferred or required
    #[arg(long, env = "TIDEWATCH_NETWORK_POLICY")]
    pub network_policy: Option<String>,

    /// Kueue's queue for the algorithms' Jobs
    #[arg(long, env = "TIDEWATCH_KUEUE_QUEUE")]
    pub kueue_queue: Option<String>,

    /// Most jobs in the engine at once
    #[arg(long, env = "TIDEWATCH_LIVE_JOBS")]
    pub live_jobs: Option<String>,

    /// Most jobs of one payer in the engine at once
    #[arg(long, env = "TIDEWATCH_LIVE_JOBS_PER_PAYER")]
    pub live_jobs_per_payer: Option<String>,

    /// Most jobs on one asset in the engine at once
    #[arg(long, env = "TIDEWATCH_LIVE_JOBS_PER_ASSET")]
    pub live_jobs_per_asset: Option<String>,

    /// Payers whose turn comes more often: 0x…=3,0x…=2; everybody else has 1
    #[arg(long, env = "TIDEWATCH_PAYER_WEIGHTS")]
    pub payer_weights: Option<String>,

    /// Where results go: s3://bucket/prefix
    #[arg(long, env = "TIDEWATCH_RESULTS_URL")]
    pub results_url: Option<String>,

    /// Secret in the jobs' namespace with the credentials for the results
    #[arg(long, env = "TIDEWATCH_RESULTS_SECRET")]
    pub results_secret: Option<String>,

    /// What the agent does on chain: off, or approve,release
    #[arg(long, env = "TIDEWATCH_AGENT")]
    pub agent: Option<String>,

    /// File with the agent's private key, 64 hexadecimal digits
    #[arg(long, env = "TIDEWATCH_AGENT_KEY_FILE")]
    pub agent_key_file: Option<PathBuf>,

    /// Most gigawei per gas that the agent offers
    #[arg(long, env = "TIDEWATCH_AGENT_MAX_FEE_GWEI")]
    pub agent_max_fee_gwei: Option<String>,

    /// Most gas that the agent uses in 24 hours
    #[arg(long, env = "TIDEWATCH_AGENT_DAILY_GAS")]
    pub agent_daily_gas: Option<String>,

    /// Address of the API
    #[arg(long, env = "TIDEWATCH_API_LISTEN")]
    pub api_listen: Option<String>,

    /// Most requests a second that the API answers one address; 0: any number
    #[arg(long, env = "TIDEWATCH_API_RATE")]
    pub api_rate: Option<String>,

    /// Where people find the API, as sign-in messages name it: https://host
    #[arg(long, env = "TIDEWATCH_API_ORIGIN")]
    pub api_origin: Option<String>,

    /// File with the secret that sign-ins rest on
    #[arg(long, env = "TIDEWATCH_API_SESSION_KEY_FILE")]
    pub api_session_key_file: Option<PathBuf>,

    /// Address of the metrics
    #[arg(long, env = "TIDEWATCH_METRICS_LISTEN")]
    pub metrics_listen: Option<String>,

    /// File with the bearer token for operators' reads
    #[arg(long, env = "TIDEWATCH_OPERATOR_TOKEN_FILE")]
    pub operator_token_file: Option<PathBuf>,

    /// Form of the log on standard error: text or json
    #[arg(long, env = "TIDEWATCH_LOG_FORMAT")]
    pub log_format: Option<String>,
}
