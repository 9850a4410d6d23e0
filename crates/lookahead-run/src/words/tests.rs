use std::fmt;

use super::*;

#[derive(Debug)]
struct Because(&'static str, io::Error);

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Because {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.1)
    }
}

#[test]
fn a_reason_has_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let text = |path: &std::path::Path| reason(&std::fs::read_to_string(path).unwrap_err());
    assert_eq!(text(&folder.path().join("x")), "there is no such file or folder");
    assert_eq!(text(folder.path()), "it is a folder");
    assert_eq!(reason(&io::Error::from_raw_os_error(13)), "Permission denied");
    assert_eq!(reason(&io::Error::from_raw_os_error(28)), "No space left on device");
    assert_eq!(reason(&io::Error::other("It is closed.")), "It is closed");
}

#[test]
fn a_chain_is_sentences() {
    let missing = || io::Error::from_raw_os_error(2);
    let chain = |text, cause| sentences(&Because(text, cause));
    let expected = "The file x can't be written: there is no such file or folder.";
    assert_eq!(chain("The file x can't be written.", missing()), expected);
    assert_eq!(chain("The file x can't be written", missing()), expected);
    let whole = io::Error::other(Because("It has no header.", missing()));
    assert_eq!(sentences(&whole), "It has no header: there is no such file or folder.");
}
