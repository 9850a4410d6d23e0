use super::*;

#[track_caller]
fn refused(dir: &Path, words: &[&str]) {
    let error = ImageFolder::scan(dir).unwrap_err();
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
}

#[test]
fn classes_are_folders_and_files_are_in_the_order_of_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let touch = |name: &str| {
        fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        fs::write(at(name), "").unwrap();
    };
    let files = ["train/b/1.png", "train/a/2.JPG", "train/b/3.webp", "test/a/4.png"];
    files.into_iter().for_each(touch);
    touch("train/a/.DS_Store");
    touch("train/a/notes.txt");
    let found = ImageFolder::scan(dir.path()).unwrap();
    assert_eq!(found.classes, ["a", "b"]);
    let train = [("train/b/1.png", 1), ("train/a/2.JPG", 0), ("train/b/3.webp", 1)]
        .map(|(name, class)| ImageFile { path: at(name), class });
    assert_eq!(found.train, train);
    assert_eq!(found.test, Some(vec![ImageFile { path: at("test/a/4.png"), class: 0 }]));
    assert_eq!((found.validation, found.ignored), (None, vec![at("train/a/notes.txt")]));
    // Without train/ the folder itself holds the classes.
    let flat = ImageFolder::scan(&at("train")).unwrap();
    assert_eq!((flat.train, flat.test), (train.to_vec(), None));
    // And one of them may be trains.
    touch("vehicles/train/1.png");
    touch("vehicles/plane/1.png");
    assert_eq!(ImageFolder::scan(&at("vehicles")).unwrap().classes, ["plane", "train"]);

    touch("test/c/5.png");
    refused(dir.path(), &["test/c is a class without training images", "train/c"]);
    fs::remove_dir_all(at("test/c")).unwrap();
    touch("val/a/1.png");
    refused(dir.path(), &["val is not read", "Rename it to validation"]);
    fs::rename(at("val"), at("validation")).unwrap();
    assert_eq!(ImageFolder::scan(dir.path()).unwrap().validation.unwrap().len(), 1);
    fs::remove_file(at("validation/a/1.png")).unwrap();
    refused(dir.path(), &["validation has no image"]);
    fs::remove_dir_all(at("validation")).unwrap();
    fs::create_dir(at("train/c")).unwrap();
    refused(dir.path(), &["train/c has no image", "PNG, JPEG"]);
    refused(&at("test"), &["has 1 folders", "at least 2"]);
    refused(&at("none"), &["none can't be read"]);
    touch("parts/test/a/1.png");
    refused(&at("parts"), &["parts/test is there, but", "parts/train has no folders of classes"]);
}
