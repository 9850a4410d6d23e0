use super::*;

fn all(names: &[&Path]) -> Result<Vec<Source>, String> {
    let inputs: Vec<PathBuf> = names.iter().map(|&name| name.to_owned()).collect();
    Source::all(&inputs).map_err(|error| error.to_string())
}

#[test]
fn the_name_of_an_input_selects_its_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["a.CSV", "b.tsv", "c.npz", "d.py", "9/two.png", "10/one.JPEG", "z.png", "notes.md"]
    {
        std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        std::fs::write(path(name), "").unwrap();
    }
    std::fs::create_dir(path("empty")).unwrap();
    let rows = |name: &str, delimiter| Source::Rows(Some(path(name)), delimiter);
    assert_eq!(
        all(&[&path("b.tsv"), Path::new("-"), &path("a.CSV"), &path("c.npz")]).unwrap(),
        [
            rows("b.tsv", b'\t'),
            Source::Rows(None, b','),
            rows("a.CSV", b','),
            Source::Arrays(path("c.npz"))
        ]
    );
    // Images in the order of the arguments; those of a folder in the order of their names.
    let images = ["z.png", "10/one.JPEG", "9/two.png", "z.png"].map(path);
    let found = all(&[&path("z.png"), folder.path()]).unwrap();
    assert_eq!(found, [Source::Pictures(images.to_vec())]);

    for (inputs, words) in [
        (vec![path("a.CSV"), path("z.png")], "Images can't be predicted together"),
        (vec![path("none.csv")], "none.csv does not exist"),
        (vec![path("d.py")], "d.py is not a known kind of file"),
        (vec![path("empty")], "empty has no images"),
    ] {
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        let error = all(&inputs).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}
