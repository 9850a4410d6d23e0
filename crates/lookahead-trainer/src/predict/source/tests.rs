use super::*;

fn all(names: &[&Path]) -> Result<Vec<Source>, String> {
    let inputs: Vec<PathBuf> = names.iter().map(|&name| name.to_owned()).collect();
    Source::all(&inputs).map_err(|error| error.to_string())
}

#[test]
fn the_name_of_an_input_selects_its_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["a.CSV", "b.tsv", "c.npz", "d.py", "one.JPEG", "z.png"] {
        std::fs::write(path(name), "").unwrap();
    }
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
    let images = [path("z.png"), folder.path().to_owned(), path("one.JPEG")];
    let found = all(&[&images[0], &images[1], &images[2]]).unwrap();
    assert_eq!(found, [Source::Pictures(images.to_vec())]);

    for (inputs, words) in [
        (vec![path("a.CSV"), path("z.png")], "Images can't be predicted together"),
        (vec![path("none.csv")], "none.csv does not exist"),
        (vec![path("d.py")], "d.py is not a known kind of file"),
    ] {
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        let error = all(&inputs).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}
