//! Fetches data sets into a cache that all clones and runs of a user share.
//!
//! Files arrive in a folder beside the cache's and are checked there. One rename then makes them the cache's,
//! so that an interrupted download never looks complete.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use lookahead_run::checkpoint::sha256_of;

use lookahead_run::words::{reason, sentences};

use super::{archive, gzip};
use crate::console::eprint_line;

/// A data set that can be fetched.
#[derive(Debug, Clone, Copy)]
pub struct Remote<'a> {
    /// Its usual name.
    pub title: &'a str,
    /// Its folder in the cache.
    pub folder: &'a str,
    /// Its files.
    pub names: &'a [&'a str],
    /// The address of its files, for a sentence.
    pub origin: &'a str,
    /// The size of the download.
    pub megabytes: u64,
    /// The environment variable that names another address, for example a mirror.
    pub address_variable: &'a str,
}

/// A way to get the files of a data set into a folder: its name, and the work.
pub type Source<'a> = (String, &'a dyn Fn(&Path) -> anyhow::Result<()>);

impl Remote<'_> {
    /// Its folder in the cache, `$XDG_CACHE_HOME/lookahead/data` or that in `~/.cache`.
    pub fn cache(&self) -> Option<PathBuf> {
        let set =
            |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
        Some(base.join("lookahead").join("data").join(self.folder))
    }

    /// The address that the user named instead of the data set's own.
    pub fn mirror(&self) -> Option<String> {
        std::env::var(self.address_variable).ok()
    }

    /// Fetches it into the cache from the first of `sources` that works.
    ///
    /// # Errors
    /// If there is no place for a cache, or none of the sources works.
    pub fn fetch(&self, sources: &[Source<'_>]) -> anyhow::Result<PathBuf> {
        let Remote { title, names, origin, address_variable, .. } = *self;
        let cache = self.cache().with_context(|| {
            format!(
                "{title} is not on this machine, and there is no cache to fetch it into. Set HOME or \
                 XDG_CACHE_HOME, or use `--set data.dir=FOLDER` for a folder that has its files."
            )
        })?;
        eprint_line(format_args!(
            "{title} is not on this machine: fetching it once, for all clones."
        ));
        let mut failures = String::new();
        for (source, fetch) in sources {
            match fetch(&cache) {
                Ok(()) => return Ok(cache),
                Err(error) => writeln!(failures, "  {source}: {}", sentences(error.as_ref()))?,
            }
        }
        bail!(
            "{title} is not on this machine and could not be fetched.\n{failures}Put its files ({}) from \
             {origin} into {}, or use `--set data.dir=FOLDER` for a folder that has them. {address_variable} \
             can name a mirror. `just train digits` needs no download.",
            names.join(", "),
            cache.display()
        )
    }

    /// Its location, for `lookahead doctor`.
    pub fn location(&self, found: Option<PathBuf>) -> String {
        match (found, self.cache()) {
            (Some(folder), _) => format!("in {}", folder.display()),
            (None, Some(cache)) => format!(
                "not here: `just train` fetches it ({} MB), or put its files from {} into {}",
                self.megabytes,
                self.origin,
                cache.display()
            ),
            (None, None) => "not here, and no cache to fetch it into: set HOME".to_owned(),
        }
    }
}

/// Fetches the `names` under `address` into `cache`.
///
/// # Errors
/// If the download, the disk or `check` fails; the cache is then unchanged.
pub fn download(
    address: &str,
    names: &[&str],
    cache: &Path,
    check: impl Fn(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    into_cache(cache, check, |folder| {
        names.iter().try_for_each(|name| {
            download_file(&url(address, name), &folder.join(name), gzip::LARGEST)
        })
    })
}

/// A compressed archive of files.
#[derive(Debug, Clone, Copy)]
pub struct Archive<'a> {
    /// Its name under the address.
    pub name: &'a str,
    /// Its size in bytes.
    pub bytes: u64,
    /// The SHA-256 of the bytes.
    pub sha256: &'a str,
    /// The folder in it that has the files.
    pub folder: &'a str,
}

/// Fetches an archive under `address`, and puts the files `names` of it into `cache`.
///
/// # Errors
/// If the download, the disk or `check` fails, or the archive is another one; the cache is then unchanged.
pub fn download_archive(
    address: &str,
    wanted: &Archive<'_>,
    names: &[&str],
    cache: &Path,
    check: impl Fn(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let url = url(address, wanted.name);
    into_cache(cache, check, |folder| {
        let arrived = folder.with_extension("archive");
        download_file(&url, &arrived, wanted.bytes)?;
        let bytes = gzip::read(&arrived).map_err(anyhow::Error::msg)?;
        let found = sha256_of(&bytes);
        if bytes.len() as u64 != wanted.bytes || found != wanted.sha256 {
            bail!(
                "{url} is another file: it has {} bytes with SHA-256 {found} instead of {} bytes with {}",
                bytes.len(),
                wanted.bytes,
                wanted.sha256
            );
        }
        archive::unpack(&bytes, wanted.folder, names, gzip::LARGEST, |name, file| {
            let to = folder.join(name);
            let written = File::create(&to).and_then(|mut to| std::io::copy(file, &mut to));
            let cause = |cause| format!("{} can't be written: {}.", to.display(), reason(&cause));
            written.map(drop).map_err(cause)
        })
        .map_err(anyhow::Error::msg)
    })
}

fn url(address: &str, name: &str) -> String {
    format!("{}/{name}", address.trim_end_matches('/'))
}

/// Fetches one file of at most `largest` bytes.
fn download_file(url: &str, to: &Path, largest: u64) -> anyhow::Result<()> {
    let work = || {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(15)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .build()
            .into();
        let response = agent.get(url).call()?;
        let length = response.body().content_length();
        let bar = progress_bar(length, to);
        let body = bar.wrap_read(response.into_body().into_reader());
        // One more byte shows that there are more.
        let received = std::io::copy(&mut body.take(largest + 1), &mut File::create(to)?)?;
        bar.finish();
        if received > largest {
            bail!("it has more than {largest} bytes");
        }
        if let Some(length) = length.filter(|&length| length != received) {
            bail!("only {received} of {length} bytes arrived");
        }
        Ok(())
    };
    work().with_context(|| format!("{url} could not be fetched"))
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

/// Takes the `names`, which a package installs into `installed`, out of the package into `cache`. This needs
/// no root, since the package is only unpacked.
///
/// # Errors
/// If there is no apt, or it, the disk or `check` fails; the cache is then unchanged.
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
    // Its progress goes to stderr, since stdout is for answers. Its own stderr is kept for the error, because
    // apt writes there even on success.
    let output = command
        .stdin(Stdio::null())
        .stdout(Stdio::from(std::io::stderr().as_fd().try_clone_to_owned()?))
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .with_context(|| format!("`{name}` can't be run on this machine"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
        bail!("`{name}` failed ({}): {last}", output.status);
    }
    Ok(())
}

/// Fills a folder beside `cache`, checks it, and renames it to `cache`.
fn into_cache(
    cache: &Path,
    check: impl Fn(&Path) -> anyhow::Result<()>,
    fill: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let parent = cache.parent().context("the cache folder has no parent")?;
    std::fs::create_dir_all(parent)
        .with_context(|| format!("the cache folder {} can't be created", parent.display()))?;
    remove_abandoned(parent);
    let arriving = tempfile::Builder::new().prefix(ARRIVING).tempdir_in(parent)?;
    // Locked as long as this process is alive.
    let held = File::create(arriving.path().join(HELD))?;
    let _ = held.lock();
    let folder = arriving.path().join("files");
    std::fs::create_dir(&folder)?;
    fill(&folder)?;
    check(&folder)?;
    // Another process may have fetched them meanwhile.
    let is_there = || cache.exists() && check(cache).is_ok();
    if is_there() {
        return Ok(());
    }
    // If there is an incomplete one, it makes way.
    let _ = std::fs::rename(cache, arriving.path().join("replaced"));
    match std::fs::rename(&folder, cache) {
        Err(_) if is_there() => Ok(()),
        result => {
            result.with_context(|| format!("the files can't be moved to {}", cache.display()))
        }
    }
}

/// The prefix of the folders in which files arrive.
const ARRIVING: &str = ".arriving-";
/// The file in such a folder that the process holds locked.
const HELD: &str = "held";

/// Removes what killed downloads left behind. A folder without the file may belong to a process that has just
/// created it.
fn remove_abandoned(parent: &Path) {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries {
        let is_abandoned = entry.file_name().as_encoded_bytes().starts_with(ARRIVING.as_bytes())
            && File::open(entry.path().join(HELD)).is_ok_and(|held| held.try_lock().is_ok());
        if is_abandoned {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
