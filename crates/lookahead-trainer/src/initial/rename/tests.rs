use super::*;

fn rename(text: &str) -> Rename {
    text.parse().unwrap()
}

fn names(names: &[&str], renames: &[&str]) -> Result<Vec<String>, String> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let renames: Vec<Rename> = renames.iter().map(|text| rename(text)).collect();
    renamed(names.iter(), &renames, Path::new("weights.safetensors"))
        .map(|all| all.into_iter().map(|(name, in_file)| format!("{name} < {in_file}")).collect())
        .map_err(|error| error.to_string())
}

#[test]
fn each_rename_applies_to_the_result_of_those_before_it() {
    let renames = ["module.=", "backbone.=encoder.", "encoder.stem.=stem."];
    let given = ["module.backbone.w", "module.backbone.stem.w", "head.module.w"];
    let all = [
        "encoder.w < module.backbone.w",
        "head.module.w < head.module.w",
        "stem.w < module.backbone.stem.w",
    ];
    assert_eq!(names(&given, &renames).unwrap(), all);
    assert_eq!(names(&["w", "b"], &["=net."]).unwrap(), ["net.b < b", "net.w < w"]);
    // Any first letters, and only once.
    assert_eq!(names(&["aab"], &["a=c"]).unwrap(), ["cab < aab"]);
}

#[test]
fn a_rename_that_fits_nothing_or_loses_a_tensor_is_refused() {
    let message = names(&["backbone.w"], &["bakbone.=x."]).unwrap_err();
    for words in [
        "`--init-rename 'bakbone.=x.'` fits no name in weights.safetensors",
        "none begins with `bakbone.`. The nearest names: `backbone.w`.",
    ] {
        assert!(message.contains(words), "{message}");
    }
    let message = names(&["a.w", "b.w"], &["a.=b."]).unwrap_err();
    assert!(message.contains("makes `b.w` of both `a.w` and `b.w`"), "{message}");
    for (text, words) in [("module.", "is not OLD=NEW"), ("a=a", "changes no name")] {
        assert!(text.parse::<Rename>().unwrap_err().contains(words));
    }
}

#[test]
fn the_rename_that_most_names_need_is_suggested() {
    let tensors = |names: &[&str]| -> Vec<Named<'static>> {
        names.iter().map(|&name| (name.to_owned(), &[2][..])).collect()
    };
    let suggested = |missing: &[&str], left_over: &[&str], fitting: &[&str]| {
        let fitting: Vec<String> = fitting.iter().map(|&name| name.to_owned()).collect();
        suggested(&tensors(missing), &tensors(left_over), &fitting)
    };
    let missing = ["encoder.1.w", "encoder.1.b", "encoder.2.w", "out.w"];
    let left_over = ["backbone.1.b", "backbone.1.w", "backbone.2.w", "head.w"];
    let expected = Some((rename("backbone.=encoder."), 3));
    assert_eq!(suggested(&missing, &left_over, &["fc.w"]), expected);
    assert_eq!(suggested(&["w"], &["net.w"], &[]), Some((rename("net.="), 1)));
    assert_eq!(suggested(&["net.w"], &["w"], &[]), Some((rename("=net."), 1)));
    assert_eq!(suggested(&["net.w"], &["w"], &["b"]), None, "it would rename `b` too");
    assert_eq!(suggested(&["a.w"], &["a.b"], &[]), None);
    let other_shape = (String::from("net.w"), &[3][..]);
    assert_eq!(super::suggested(&tensors(&["w"]), &[other_shape], &[]), None);
}
