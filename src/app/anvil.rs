//! Runs a private development chain (Foundry's anvil) as a child process, for the demo and for tests.

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use alloy::primitives::{B256, b256};
use anyhow::{Context, Result, bail};
use tokio::sync::oneshot;
use tokio::time::timeout;
use url::Url;

/// How long anvil may take until it listens; it needs well under a second on an idle machine.
const START: Duration = Duration::from_secs(60);

/// The shell that stands between us and anvil. It waits for the end of its standard input, which comes when the [`Anvil`] is
/// dropped and also when our process dies in whatever way; then it kills anvil and removes its directory.
///
/// The alternative, a signal on the parent's death, fires when the *thread* that started the child ends (prctl(2),
/// `PR_SET_PDEATHSIG`), which under a thread pool or a test runner is too early.
const SHELL: &str = r#"
directory=$(mktemp -d "${TMPDIR:-/tmp}/tidewatch-anvil.XXXXXX") || exit 1
exec 3<&0
"$@" --cache-path "$directory" </dev/null 2>&1 3<&- &
anvil=$!
exec >/dev/null 2>&1
cat <&3
kill -KILL $anvil
wait $anvil
rm -rf "$directory"
"#;

/// The first six private keys of anvil's well-known mnemonic ("test test … junk"), funded on every chain it starts.
/// They are public: never use them anywhere else.
const KEYS: [B256; 6] = [
    b256!("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    b256!("0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
    b256!("0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
    b256!("0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"),
    b256!("0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a"),
    b256!("0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba"),
];

/// How blocks are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mining {
    /// One block per transaction, at once.
    #[default]
    Automatic,
    /// One block per so many seconds.
    Every(u32),
    /// Only when `evm_mine` asks for one.
    OnDemand,
}

/// What a chain should be like.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// EIP-155 id.
    pub chain_id: u64,
    /// How blocks are made.
    pub mining: Mining,
    /// Port to listen on; 0 lets the system choose.
    pub port: u16,
}

impl Default for Options {
    /// Chain 8996, the id that Ocean's own development chains use; a block per transaction; a port that the system chooses.
    fn default() -> Self {
        Self {
            chain_id: 8996,
            mining: Mining::default(),
            port: 0,
        }
    }
}

/// A running anvil. Dropping it ends the process and removes its directory, and so does the end of our own process.
pub struct Anvil {
    url: Url,
    shell: Child,
}

impl fmt::Debug for Anvil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anvil")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

impl Anvil {
    /// Starts anvil and waits until it listens.
    ///
    /// The `finalized` block trails the head by two here (`--slots-in-an-epoch 1`), not by 64.
    ///
    /// # Errors
    /// If the program cannot be started or does not listen within a minute; its last words are told.
    pub async fn start(program: &Path, options: Options) -> Result<Self> {
        let mut command = Command::new("sh");
        command
            .args(["-c", SHELL, "sh"])
            .arg(program)
            .args(["--host", "127.0.0.1", "--slots-in-an-epoch", "1"])
            .args(["--port", &options.port.to_string()])
            .args(["--chain-id", &options.chain_id.to_string()]);
        match options.mining {
            Mining::Automatic => {}
            Mining::Every(seconds) => {
                command.args(["--block-time", &seconds.to_string()]);
            }
            Mining::OnDemand => {
                command.arg("--no-mining");
            }
        }
        // A group of its own: Ctrl-C in the terminal is for us, and we then end anvil in order.
        let mut shell = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("the shell that runs anvil could not be started")?;
        let output = shell.stdout.take().context("anvil has no output")?;
        let mut anvil = Self {
            url: Url::parse("http://127.0.0.1/")?,
            shell,
        };
        let (listening, address) = oneshot::channel();
        thread::spawn(move || watch(BufReader::new(output), listening));
        let address = match timeout(START, address).await {
            Ok(Ok(Ok(address))) => address,
            Ok(Ok(Err(words))) => bail!("anvil ended instead of listening: {words}"),
            Ok(Err(_)) => bail!("anvil's output could not be read"),
            Err(_) => bail!("anvil did not listen within {} seconds", START.as_secs()),
        };
        anvil.url = Url::parse(&format!("http://{address}/"))
            .with_context(|| format!("anvil listens at {address:?}, which is no address"))?;
        Ok(anvil)
    }

    /// Where it answers JSON-RPC over HTTP.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// A funded private key for development, 0 to 5. Public: of no worth on any other chain.
    ///
    /// # Errors
    /// If there is no key of that number.
    pub fn key(number: usize) -> Result<B256> {
        KEYS.get(number)
            .copied()
            .with_context(|| format!("there are {} development keys, not {number}", KEYS.len()))
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // Closing the shell's input is the order to end; it takes a few milliseconds.
        drop(self.shell.stdin.take());
        if let Err(error) = self.shell.wait() {
            tracing::warn!(%error, "anvil's end could not be awaited");
        }
    }
}

/// Reads anvil's output to its end, so that it never blocks on a full pipe, and tells when it listens, or what it said last.
fn watch(output: impl BufRead, listening: oneshot::Sender<Result<String, String>>) {
    let mut listening = Some(listening);
    let mut last = VecDeque::new();
    for line in output.lines().map_while(Result::ok) {
        let Some(waiting) = listening.take() else {
            continue;
        };
        if let Some(address) = line.trim().strip_prefix("Listening on ") {
            // Nobody waits any more if the start was given up; then there is nothing to tell.
            drop(waiting.send(Ok(address.to_owned())));
            continue;
        }
        listening = Some(waiting);
        last.push_back(line);
        if last.len() > 5 {
            last.pop_front();
        }
    }
    if let Some(waiting) = listening {
        let words: Vec<_> = last.into();
        drop(waiting.send(Err(words.join(" "))));
    }
}
