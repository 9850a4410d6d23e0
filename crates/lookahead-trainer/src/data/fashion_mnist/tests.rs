use super::*;

#[test]
fn the_system_folder_is_tried_first_and_without_a_home() {
    let (system, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let found = |cache| first_whole(system.path(), cache);
    let cached = || Some(cache.path().to_owned());
    assert_eq!(found(cached()), None);
    for file in FILES {
        std::fs::write(cache.path().join(file.name), "").unwrap();
    }
    assert_eq!(found(cached()), cached());
    for file in FILES {
        std::fs::write(system.path().join(file.name), "").unwrap();
    }
    assert_eq!(found(cached()), Some(system.path().to_owned()));
    assert_eq!(found(None), Some(system.path().to_owned()));
}
