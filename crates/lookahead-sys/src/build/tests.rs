use std::path::Path;

use super::version::{LIBTORCH, refusal};
use super::{libtorch_folder, libtorch_version};

#[test]
fn the_folder_of_libtorch_has_its_library() {
    let folder = libtorch_folder().unwrap();
    assert!(folder.join("libtorch_cpu.so").is_file(), "{}", folder.display());
}

/// The build script's check.
#[test]
fn another_version_of_libtorch_is_refused() {
    let header = |version: &str| {
        let [major, minor, patch] = version.splitn(3, '.').collect::<Vec<_>>()[..] else {
            panic!()
        };
        format!(
            "#pragma once\n\n#define TORCH_VERSION_MAJOR {major}\n#define TORCH_VERSION_MINOR {minor}\n\
             #define TORCH_VERSION_PATCH {patch}\n#define TORCH_VERSION \"{version}\"\n"
        )
    };
    let refused = |version: &str| refusal(&header(version), Path::new("/opt/libtorch"));
    assert_eq!(refused(LIBTORCH), None);
    for other in ["1.13.0", "2.12.0", "2.13.1", "2.1.30"] {
        let message = refused(other).unwrap();
        let start = format!("libtorch in /opt/libtorch is {other}, and tch 0.26 needs {LIBTORCH}.");
        assert!(message.starts_with(&start), "{message}");
    }
    // Of a header that says nothing, torch-sys judges.
    assert_eq!(refusal("#pragma once\n", Path::new("/opt/libtorch")), None);
    if std::env::var_os("LIBTORCH_BYPASS_VERSION_CHECK").is_none() {
        assert!(libtorch_version().starts_with(LIBTORCH), "{}", libtorch_version());
    }
}
