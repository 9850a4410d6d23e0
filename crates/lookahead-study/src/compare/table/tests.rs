use super::*;

fn table() -> Table {
    let mut table = Table { title: "Test".into(), ..Table::default() };
    table.column("what", Side::Left, 0);
    table.column("n", Side::Right, 2);
    table.column("accuracy in %", Side::Right, 0);
    let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
    table.rows.push(row(["optimizer.kind=sgd lookahead=false", "5", "89.60 ± 0.21"]));
    table.rows.push(row(["a | b, \"c\"", "10", "7 ± 0.20"]));
    table
}

#[test]
fn a_terminal_gets_aligned_columns() {
    let text = table().to_terminal(80);
    let wanted = "\
Test
what                                 n  accuracy in %
─────────────────────────────────────────────────────
optimizer.kind=sgd lookahead=false   5   89.60 ± 0.21
a | b, \"c\"                          10       7 ± 0.20
";
    assert_eq!(text, wanted);
}

#[test]
fn a_narrow_one_gets_lines_and_then_fewer_columns() {
    let wanted = "\
Test
what                 n  accuracy in %
─────────────────────────────────────
optimizer.kind=sgd   5   89.60 ± 0.21
lookahead=false
a | b, \"c\"          10       7 ± 0.20
";
    assert_eq!(table().to_terminal(37), wanted);
    let wanted = "\
Test
what              accuracy in %
───────────────────────────────
optimizer.kind=    89.60 ± 0.21
sgd
lookahead=false
a | b, \"c\"             7 ± 0.20
No room for: n.
";
    assert_eq!(table().to_terminal(31), wanted);
    for most in 31..100 {
        let text = table().to_terminal(most);
        assert!(text.lines().all(|line| width(line) <= most), "{most}:\n{text}");
    }
}

#[test]
fn markdown_and_csv_keep_what_would_divide_cells() {
    let wanted = "\
**Test**

| what | n | accuracy in % |
| :-- | --: | --: |
| optimizer.kind=sgd lookahead=false | 5 | 89.60 ± 0.21 |
| a \\| b, \"c\" | 10 | 7 ± 0.20 |
";
    assert_eq!(table().to_markdown(), wanted);
    let wanted = "\
what,n,accuracy in %
optimizer.kind=sgd lookahead=false,5,89.60 ± 0.21
\"a | b, \"\"c\"\"\",10,7 ± 0.20
";
    assert_eq!(table().to_csv(), wanted);
}
