use super::*;
use crate::statistics::{Aim, Meaning};

fn report() -> Report {
    let mut report = Report::new(&Plan::usual(true, 2));
    let values = (&[1e-3, 2e-3, 1e-3][..], &[2e-3, 3e-3, 2e-3][..]);
    let unit = Unit::Step { samples: 32 };
    let aim = Some(Aim::median(1.15));
    let names = ("trainer", "timm");
    report.rows.extend(Row::new("mlp-32", "training", names, values, unit, Meaning::Faster, aim));
    let memory = (&[2e8][..], &[1e8][..]);
    let aim = Some(Aim::median(1.0));
    report.rows.extend(Row::new(
        "mlp-32",
        "memory",
        names,
        memory,
        Unit::Bytes,
        Meaning::Takes,
        aim,
    ));
    report.refuse("cnn-32", &anyhow::anyhow!("The losses differ."));
    report
}

#[test]
fn the_table_has_a_line_for_each_row_and_says_what_is_reached() {
    let table = report().table();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4);
    let length = lines[0].chars().count();
    assert!(lines.iter().all(|line| line.chars().count() == length), "{table}");
    for part in [
        "1.00 ms, 32000 samples/s",
        "timm: 2.00 ms",
        "times as fast 2.00 [1.750, 2.00]",
        "≥ 1.150",
        "yes",
    ] {
        assert!(lines[2].contains(part), "{part} in {}", lines[2]);
    }
    for part in ["200 MB", "takes, of it 2.00", "≤ 1.000", "**no**"] {
        assert!(lines[3].contains(part), "{part} in {}", lines[3]);
    }
    assert_eq!(Row::new("", "", ("", ""), (&[], &[]), Unit::Bytes, Meaning::Takes, None), None);
}

#[test]
fn what_is_written_by_hand_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("benchmarks.md");
    let report = report();
    report.write(folder.path()).unwrap();
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.ends_with("<!-- by hand: begin -->\n<!-- by hand: end -->\n"), "{page}");
    assert!(page.contains("- cnn-32: The losses differ."));

    let by_hand = "\n## Profile\n\nMost of it is `addmm`.\n";
    std::fs::write(&path, page.replace("begin -->\n", &format!("begin -->{by_hand}"))).unwrap();
    report.write(folder.path()).unwrap();
    let page = std::fs::read_to_string(&path).unwrap();
    assert_eq!(kept(&page).unwrap(), by_hand);
    assert_eq!(page.matches("## Profile").count(), 1);

    let broken = page.replace("by hand: end", "by hand: and");
    std::fs::write(&path, &broken).unwrap();
    let said = format!("{:#}", report.write(folder.path()).unwrap_err());
    assert!(said.contains("is left as it is") && said.contains("by hand: end"), "{said}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), broken);
}

#[test]
fn the_json_has_it_all() {
    let report = report();
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    assert!(text.contains(r#""samples_per_second":32000.0"#), "{text}");
}

#[test]
fn a_version_is_noted_once() {
    let mut report = report();
    report.take_versions(&["Python 3.13.1, torch 2.13.0".to_owned()]);
    report.take_versions(&["Python 3.13.1, torch 2.13.0, timm 1.0.31".to_owned()]);
    assert_eq!(report.peers, ["Python 3.13.1", "torch 2.13.0", "timm 1.0.31"]);
}
