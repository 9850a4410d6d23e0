//! Bringing files into the cache, which all clones and runs of a user share.
//!
//! Files arrive in a folder beside the cache's and are checked there; one rename then makes them
//! the cache's, so that an interrupted download never looks like a whole one.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use lookahead_run::checkpoint::sha256_of;

use super::gzip;

/// `$XDG_CACHE_HOME/lookahead/data`, or that in `~/.cache`.
pub fn cache_folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(base.join("lookahead").join("data"))
}

/// Fetches the `names` under `address` into `cache`.
///
/// # Errors
/// Where the network, the disk or `check` says no; the cache is as before then.
pub fn download(
    address: &str,
    names: &[&str],
    cache: &Path,
    check: impl Fn(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let agent = agent();
    into_cache(cache, check, |folder| {
        names.iter().try_for_each(|name| {
            let url = url(address, name);
            download_file(&agent, &url, &folder.join(name), gzip::LARGEST)
                .with_context(|| format!("{url} could not be fetched"))
        })
    })
}

/// A compressed archive of files.
#[derive(Debug, Clone, Copy)]
pub struct Archive<'a> {
    /// Its name under the address.
    pub name: &'a str,
    /// How many bytes it has.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: &'a str,
    /// The folder in it that has the files.
    pub folder: &'a str,
}

/// Fetches an archive under `address`, and puts the files `names` of it into `cache`.
///
/// # Errors
/// Where the network, the disk or `check` says no, or it is not the archive that it should be; the
/// cache is as before then.
pub fn download_archive(
    address: &str,
    archive: &Archive<'_>,
    names: &[&str],
    cache: &Path,
    check: impl Fn(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let url = url(address, archive.name);
    into_cache(cache, check, |folder| {
        let arrived = folder.with_extension("archive");
        download_file(&agent(), &url, &arrived, archive.bytes)
            .with_context(|| format!("{url} could not be fetched"))?;
        let bytes = gzip::read(&arrived).map_err(anyhow::Error::msg)?;
        let found = sha256_of(&bytes);
        if bytes.len() as u64 != archive.bytes || found != archive.sha256 {
            bail!(
                "{url} is not what it should be: it has {} bytes with SHA-256 {found}, and {} bytes \
                 with {} were expected",
                bytes.len(),
                archive.bytes,
                archive.sha256
            );
        }
        let inner = archive.folder;
        let unpacked = super::archive::unpack(&bytes, inner, names, gzip::LARGEST, |name, file| {
            let to = folder.join(name);
            let written = File::create(&to).and_then(|mut to| std::io::copy(file, &mut to));
            let cause = |cause| format!("{} can't be written ({cause}).", to.display());
            written.map(drop).map_err(cause)
        });
        unpacked.map_err(anyhow::Error::msg)
    })
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(15)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .build()
        .into()
}

fn url(address: &str, name: &str) -> String {
    format!("{}/{name}", address.trim_end_matches('/'))
}

/// Fetches one file, of at most `largest` bytes.
fn download_file(agent: &ureq::Agent, url: &str, to: &Path, largest: u64) -> anyhow::Result<()> {
    let response = agent.get(url).call()?;
    let length = response.body().content_length();
    let bar = progress_bar(length, to);
    let mut body = bar.wrap_read(response.into_body().into_reader());
    let mut file = File::create(to)?;
    let mut buffer = vec![0; 1 << 16];
    let mut received = 0;
    loop {
        let count = body.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        file.write_all(&buffer[..count])?;
        received += count as u64;
        if received > largest {
            bail!("more than {largest} bytes came");
        }
    }
    bar.finish();
    if let Some(length) = length.filter(|&length| length != received) {
        bail!("{received} of {length} bytes came");
    }
    Ok(())
}

fn progress_bar(length: Option<u64>, file: &Path) -> ProgressBar {
    let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let style = ProgressStyle::with_template(
        "{msg:28} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
    );
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message(file.file_name().unwrap_or_default().to_string_lossy().into_owned());
    bar
}

/// Takes the `names`, which a package installs into `installed`, out of the package into `cache`.
/// Needs no root: the package is unpacked, not installed.
///
/// # Errors
/// Where there is no apt, or it, the disk or `check` says no; the cache is as before then.
pub fn debian_package(
    package: &str,
    installed: &Path,
    names: &[&str],
    cache: &Path,
    check: impl Fn(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    into_cache(cache, check, |folder| {
        // Beside the files, so that it goes with them if this process is killed.
        let unpacked = folder.with_extension("package");
        std::fs::create_dir(&unpacked)?;
        run(Command::new("apt-get").args(["download", package]).current_dir(&unpacked))?;
        let archive = std::fs::read_dir(&unpacked)?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .context("apt-get left no package behind")?;
        let tree = unpacked.join("tree");
        run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&tree))?;
        let files = tree.join(installed.strip_prefix("/").unwrap_or(installed));
        for name in names {
            std::fs::copy(files.join(name), folder.join(name))
                .with_context(|| format!("the package has no {name}"))?;
        }
        Ok(())
    })
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    // Progress goes where people read: stdout is for what was asked for. What is said on stderr is
    // kept for the error; apt talks there even when all is well.
    let output = command
        .stdin(Stdio::null())
        .stdout(Stdio::from(std::io::stderr().as_fd().try_clone_to_owned()?))
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .with_context(|| format!("`{name}` can't be run on this machine"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
        bail!("`{name}` failed ({}), saying: {last}", output.status);
    }
    Ok(())
}

/// Fills a folder beside `cache`, checks it, and puts it in `cache`'s place.
fn into_cache(
    cache: &Path,
    check: impl Fn(&Path) -> anyhow::Result<()>,
    fill: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let parent = cache.parent().context("the cache folder has no parent")?;
    std::fs::create_dir_all(parent)
        .with_context(|| format!("the cache folder {} can't be made", parent.display()))?;
    remove_abandoned(parent);
    let arriving = tempfile::Builder::new().prefix(ARRIVING).tempdir_in(parent)?;
    // Held as long as this process is alive: if it is free, nothing is being written there.
    let held = File::create(arriving.path().join(HELD))?;
    let _ = held.lock();
    let folder = arriving.path().join("files");
    std::fs::create_dir(&folder)?;
    fill(&folder)?;
    check(&folder)?;
    // Another process may have fetched them meanwhile.
    let theirs = || cache.exists() && check(cache).is_ok();
    if theirs() {
        return Ok(());
    }
    // Files of an earlier, incomplete one, if there are any.
    let _ = std::fs::rename(cache, arriving.path().join("replaced"));
    match std::fs::rename(&folder, cache) {
        Err(_) if theirs() => Ok(()),
        result => {
            result.with_context(|| format!("the files can't be moved to {}", cache.display()))
        }
    }
}

/// How the folders begin in which files arrive, and the file in each that its process holds locked.
const ARRIVING: &str = ".arriving-";
const HELD: &str = "held";

/// A folder without that file belongs to a process that has just made it, or to an earlier version.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Removes what downloads left behind that were killed.
fn remove_abandoned(parent: &Path) {
    let entries = std::fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok);
    for entry in
        entries.filter(|e| e.file_name().as_encoded_bytes().starts_with(ARRIVING.as_bytes()))
    {
        let path = entry.path();
        let is_abandoned = match File::open(path.join(HELD)) {
            Ok(held) => held.try_lock().is_ok(),
            Err(_) => {
                let age = entry.metadata().and_then(|found| found.modified()).ok();
                age.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > ABANDONED)
            }
        };
        if is_abandoned {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
