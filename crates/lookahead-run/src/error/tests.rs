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
        "Could not write `/runs/a`: no storage space. Free some space there and try again."
    );
}

#[test]
fn a_chain_of_causes_reads_as_one_clause() {
    #[derive(Debug, thiserror::Error)]
    #[error("Saving failed.")]
    struct Outer(#[source] io::Error);

    let error = Outer(io::Error::other("The disk is on fire."));
    assert_eq!(chain(&error), "Saving failed: The disk is on fire");
}
