use super::*;
use std::io::Write;
use std::net::TcpListener;

/// Answers `requests` requests on a port of this machine with a body, which may be shorter than promised.
pub(crate) fn server(body: &'static [u8], promised: usize, requests: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().take(requests) {
            let mut stream = stream.unwrap();
            // The whole request, since closing a connection with unread bytes resets it.
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            // One connection per request.
            let head = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {promised}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(body).unwrap();
            // Wait until the client has read everything.
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let _ = stream.read(&mut [0]);
        }
    });
    address
}

#[test]
fn files_arrive_in_the_cache() {
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join("a").join("set");
    download(&server(b"images", 6, 2), &["one", "two"], &cache, |_| Ok(())).unwrap();
    assert_eq!(std::fs::read(cache.join("one")).unwrap(), b"images");
    assert_eq!(std::fs::read(cache.join("two")).unwrap(), b"images");
    let left = std::fs::read_dir(home.path().join("a")).unwrap().count();
    assert_eq!(left, 1, "nothing else is left behind");
}

#[test]
fn only_what_killed_downloads_left_is_removed() {
    let home = tempfile::tempdir().unwrap();
    let arriving = |name: &str| {
        let folder = home.path().join(format!(".arriving-{name}"));
        std::fs::create_dir_all(folder.join("files")).unwrap();
        std::fs::write(folder.join("files/part"), "half").unwrap();
        folder
    };
    let [killed, at_work, new] = ["killed", "at-work", "new"].map(arriving);
    std::fs::write(killed.join(HELD), "").unwrap();
    let held = File::create(at_work.join(HELD)).unwrap();
    held.lock().unwrap();
    let cache = home.path().join("set");
    download(&server(b"images", 6, 1), &["one"], &cache, |_| Ok(())).unwrap();
    let there = [&killed, &at_work, &new, &cache].map(|folder| folder.exists());
    assert_eq!(there, [false, true, true, true]);
}

#[test]
fn files_that_another_process_fetched_meanwhile_are_kept() {
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join("set");
    let whole = |folder: &Path| Ok(std::fs::metadata(folder.join("one")).map(|_| ())?);
    let fill = |folder: &Path| {
        std::fs::create_dir(&cache)?;
        std::fs::write(cache.join("one"), "other")?;
        Ok(std::fs::write(folder.join("one"), "own")?)
    };
    into_cache(&cache, whole, fill).unwrap();
    assert_eq!(std::fs::read(cache.join("one")).unwrap(), b"other");

    // An incomplete one is replaced.
    std::fs::rename(cache.join("one"), cache.join("other")).unwrap();
    let fill = |folder: &Path| Ok(std::fs::write(folder.join("one"), "own")?);
    into_cache(&cache, whole, fill).unwrap();
    assert_eq!(std::fs::read(cache.join("one")).unwrap(), b"own");
    assert!(!cache.join("other").exists());
}

#[test]
fn damaged_downloads_never_reach_the_cache() {
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join("set");
    let error = download(&server(b"ima", 6, 1), &["one"], &cache, |_| Ok(())).unwrap_err();
    assert!(format!("{error:#}").contains("one could not be fetched"), "{error:#}");
    assert!(!cache.exists());

    let refuse = |_: &Path| bail!("not the right bytes");
    let error = download(&server(b"images", 6, 1), &["one"], &cache, refuse).unwrap_err();
    assert!(format!("{error:#}").contains("not the right bytes"));
    assert!(!cache.exists());

    std::fs::create_dir(&cache).unwrap();
    std::fs::write(cache.join("old"), "kept").unwrap();
    let unreachable = "http://127.0.0.1:9";
    assert!(download(unreachable, &["one"], &cache, |_| Ok(())).is_err());
    assert_eq!(std::fs::read(cache.join("old")).unwrap(), b"kept");
}
