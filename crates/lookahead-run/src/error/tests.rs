use super::*;

#[test]
fn an_io_error_names_operation_path_and_remedy() {
    let error = Error::Io {
        operation: "write",
        path: "/runs/a".into(),
        cause: io::ErrorKind::StorageFull.into(),
    };
    assert_eq!(
        error.to_string(),
        "Could not write `/runs/a`: no storage space. Free some space on that disk."
    );
}

#[test]
fn a_chain_of_causes_reads_as_one_clause() {
    #[derive(Debug, thiserror::Error)]
    #[error("Saving failed.")]
    struct Outer(#[source] io::Error);

    let error = Outer(io::Error::other("The disk is on fire."));
    assert_eq!(chain_with_remedy(&error), "Saving failed: The disk is on fire");
    let full = || io::Error::from(io::ErrorKind::StorageFull);
    assert_eq!(
        chain_with_remedy(&Outer(full())),
        "Saving failed: no storage space. Free some space on that disk"
    );
    let io = Error::Io { operation: "write", path: "/runs/a".into(), cause: full() };
    assert_eq!(chain_with_remedy(&io).matches("Free some space").count(), 1);
}
