use super::libtorch_folder;

#[test]
fn the_folder_of_libtorch_has_its_library() {
    let folder = libtorch_folder().unwrap();
    assert!(folder.join("libtorch_cpu.so").is_file(), "{}", folder.display());
}
