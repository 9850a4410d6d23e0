use super::*;

fn read(text: &[u8], delimiter: u8) -> Result<Vec<(u64, Vec<String>)>, String> {
    let mut rows = Rows::open(text, delimiter)?;
    let columns = rows.header().len();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row.line, (0..columns).map(|column| row.cell(column).to_owned()).collect()));
    }
    Ok(found)
}

#[test]
fn cells_have_their_line_whatever_ends_it() {
    let lines = "\u{feff}a, b\n1,\"x \"\"y\"\"\"\n\n2,\"two\nlines\"\n 3 , z";
    let expected = [(2, ["1", "x \"y\""]), (4, ["2", "two\nlines"]), (6, ["3", "z"])];
    let expected = expected.map(|(line, cells)| (line, cells.map(str::to_owned).to_vec()));
    for text in [lines.to_owned(), format!("{lines}\n"), format!("{lines}\n\n\n")] {
        assert_eq!(read(text.as_bytes(), b',').unwrap(), expected, "{text:?}");
        let crlf = read(text.replace('\n', "\r\n").as_bytes(), b',').unwrap();
        let numbers: Vec<u64> = crlf.iter().map(|(line, _)| *line).collect();
        assert_eq!(numbers, [2, 4, 6], "{text:?}");
        assert_eq!(crlf[2].1, ["3", "z"]);
    }
    let header = Rows::open(lines.as_bytes(), b',').unwrap().header().to_vec();
    assert_eq!(header, ["a", "b"]);
    assert_eq!(read(b"a;b\n1;2\n", b';').unwrap(), [(2, vec!["1".to_owned(), "2".to_owned()])]);
}

#[test]
fn rows_that_do_not_fit_the_header_are_refused() {
    for (text, words) in [
        (&b""[..], "It is empty"),
        (b"\r\n \n", "It is empty"),
        (b"a,a\n", "Two columns are named `a`"),
        (b"a,,b\n", "Column 2 has no name"),
        (b"a;b;c\n1;2;3\n", "Use `data.delimiter = ';'`."),
        (b"a\tb\n1\t2\n", "Use `data.delimiter = '\\t'`."),
        (b"a,b\r1,2\r", "carriage return alone"),
        (b"a,b\n1,2\n\n1,2,3\n", "Line 4 has 3 cells, and the first line names 2 columns."),
        (b"a,b\r\n1,2\r\n1\r\n", "Line 3 has 1 cells"),
        (b"a,b\n1,2\n1,\xff\n", "Line 3, column 2: the text isn't UTF-8"),
    ] {
        let error = read(text, b',').unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn the_nearest_name_is_suggested() {
    let header = ["sepal_length", "species", "x"].map(str::to_owned);
    let suggested = |name| meant(header.iter().map(String::as_str), name);
    assert_eq!(suggested("Species"), Some("species"));
    assert_eq!(suggested("specis"), Some("species"));
    assert_eq!(suggested("sepal-length"), Some("sepal_length"));
    assert_eq!(suggested("price"), None);
    let error = no_column(&header, "specie", "`data.target` names");
    assert_eq!(
        error,
        "It has no column `specie`, which `data.target` names. Did you mean `species`? Its columns are \
         `sepal_length`, `species`, `x`."
    );
    assert_eq!(shown(&"a".repeat(41)), format!("{:?}…", "a".repeat(40)));
}

#[test]
fn files_are_opened_by_their_contents() {
    use std::io::Write;
    let file = tempfile::NamedTempFile::new().unwrap();
    let contents = |bytes: &[u8]| {
        std::fs::write(file.path(), bytes).unwrap();
        let mut text = String::new();
        open(file.path())?.read_to_string(&mut text).map_err(|error| error.to_string())?;
        Ok::<_, String>(text)
    };
    assert_eq!(contents(b"a,b\n").unwrap(), "a,b\n");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"a,b\n").unwrap();
    assert_eq!(contents(&encoder.finish().unwrap()).unwrap(), "a,b\n");
    for (bytes, words) in [
        (&b"version https://git-lfs.github.com/spec/v1\n"[..], "git lfs pull"),
        (b"<!DOCTYPE html>\n", "a web page"),
        (b"\xff\xfea\0", "iconv -f UTF-16"),
        (b"PK\x03\x04", "a spreadsheet"),
    ] {
        assert!(contents(bytes).unwrap_err().contains(words));
    }
    assert!(open(Path::new("/none")).map(drop).unwrap_err().contains("can't be read"));
}
