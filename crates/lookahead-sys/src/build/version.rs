//! Which libtorch the crate builds with: a part of the build script.

use std::path::Path;

/// The version of libtorch that tch and the C++ files are written for.
pub(super) const LIBTORCH: &str = "2.13.0";

/// A sentence if `torch/headeronly/version.h` of the libtorch in `folder` is of another version.
pub(super) fn refusal(header: &str, folder: &Path) -> Option<String> {
    let part = |name: &str| {
        let line = header
            .lines()
            .find(|line| line.starts_with(&format!("#define TORCH_VERSION_{name} ")))?;
        line.rsplit(' ').next()
    };
    let found = [part("MAJOR")?, part("MINOR")?, part("PATCH")?].join(".");
    (found != LIBTORCH).then(|| {
        format!(
            "libtorch in {} is {found}, and tch 0.26 needs {LIBTORCH}. Set LIBTORCH to that version, or \
             LIBTORCH_BYPASS_VERSION_CHECK=1 to try this one.",
            folder.display()
        )
    })
}
