use super::*;
use std::io::Read;

const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(30);

fn line(number: usize) -> Vec<u8> {
    format!("line {number} {}\n", "x".repeat(100)).into_bytes()
}

fn gap(missing: u64) -> String {
    format!("{missing} missing\n")
}

#[test]
fn a_healthy_reader_gets_all_in_order() {
    let (mut reader, writer) = io::pipe().unwrap();
    let out = BackgroundWriter::new("test", writer).unwrap();
    let read = std::thread::spawn(move || {
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        text
    });
    let all: Vec<Vec<u8>> = (0..50_000).map(line).collect();
    all.iter().for_each(|line| out.push(line, gap));
    assert!(out.flush(LONG, LONG));
    assert_eq!(out.dropped(), 0);
    drop(out);
    assert!(read.join().unwrap() == all.concat());
}

#[test]
fn a_reader_that_stops_blocks_nothing_and_gets_the_number_it_missed() {
    let (mut reader, writer) = io::pipe().unwrap();
    let out = BackgroundWriter::with_backlog("test", writer, 1 << 20).unwrap();
    let began = Instant::now();
    (0..50_000).for_each(|number| out.push(&line(number), gap));
    assert!(began.elapsed() < Duration::from_secs(5));
    let dropped = out.dropped();
    assert!(dropped > 30_000 && out.is_dropping(), "{dropped}");
    let began = Instant::now();
    assert!(!out.flush(SHORT, LONG));
    assert!(began.elapsed() < Duration::from_secs(2), "it waits no longer than it should");
    let began = Instant::now();
    assert!(!out.flush(SHORT, LONG));
    assert!(began.elapsed() < SHORT / 2, "and only once");

    let read = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    assert!(out.flush(LONG, LONG) && out.is_dropping());
    out.push(b"again\n", gap);
    assert!(out.flush(LONG, LONG) && !out.is_dropping());
    drop(out);
    let text = read.join().unwrap();
    let kept = 50_000 - dropped as usize;
    assert_eq!(text.lines().count(), kept + 2, "whole lines only");
    assert!(text.ends_with(&format!("\n{dropped} missing\nagain\n")));
}

#[test]
fn the_end_is_accepted_even_if_too_much_waits() {
    let (mut reader, writer) = io::pipe().unwrap();
    let out = BackgroundWriter::with_backlog("test", writer, 1 << 10).unwrap();
    (0..10_000).for_each(|number| out.push(&line(number), gap));
    let dropped = out.dropped();
    assert!(out.is_dropping());
    out.accept_the_end();
    out.push(&line(10_000), gap);
    assert_eq!(out.dropped(), dropped);
    let read = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    assert!(out.finish(LONG, LONG, gap));
    drop(out);
    let text = read.join().unwrap();
    let gaps = text.lines().filter_map(|line| line.strip_suffix(" missing"));
    assert_eq!(gaps.map(|gap| gap.parse::<u64>().unwrap()).sum::<u64>(), dropped);
    let end = String::from_utf8(line(10_000)).unwrap();
    assert!(text.ends_with(&format!(" missing\n{end}")));
}

#[test]
fn a_reader_that_leaves_is_a_failure() {
    let (reader, writer) = io::pipe().unwrap();
    let out = BackgroundWriter::new("test", writer).unwrap();
    drop(reader);
    out.push(b"one\n", gap);
    assert!(!out.flush(LONG, LONG));
    assert!(out.failure().is_some());
    out.push(b"two\n", gap);
    assert!(!out.flush(LONG, LONG) && out.dropped() == 0);
}

/// Takes some of the text, then nothing for a while, then the rest.
#[test]
fn a_disk_that_is_full_for_a_while_loses_nothing() {
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(Vec<u8>, bool)>>);
    impl Write for Disk {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let mut disk = self.0.lock().unwrap();
            if disk.1 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let count = text.len().min(1000);
            disk.0.extend_from_slice(&text[..count]);
            disk.1 = true;
            Ok(count)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let disk = Disk::default();
    let out = BackgroundWriter::new("test", disk.clone()).unwrap();
    let all: Vec<Vec<u8>> = (0..20).map(line).collect();
    all.iter().for_each(|line| out.push(line, gap));
    assert!(!out.flush(SHORT, LONG));
    assert!(out.trouble().is_some());
    while !out.flush(SHORT, LONG) {
        disk.0.lock().unwrap().1 = false;
    }
    assert_eq!(out.trouble(), None);
    assert!(disk.0.lock().unwrap().0 == all.concat());
}
