use super::*;

#[test]
fn themes_are_found_by_their_names() {
    for theme in ThemeName::ALL {
        assert_eq!(theme.name().parse(), Ok(theme));
    }
    let error = "pink".parse::<ThemeName>().unwrap_err();
    assert!(error.contains("`pink`") && error.contains("color-blind"), "{error}");
    let four = std::iter::successors(Some(ThemeName::Dark), |name| Some(name.next())).take(5);
    assert_eq!(
        four.map(ThemeName::name).collect::<Vec<_>>().join(" "),
        "dark light color-blind none dark"
    );
}

#[test]
fn no_two_runs_look_alike() {
    for name in ThemeName::ALL {
        let theme = Theme::new(name);
        let looks: Vec<_> = (0..8).map(|index| theme.run(index)).collect();
        for (index, look) in looks.iter().enumerate() {
            assert!(looks[..index].iter().all(|other| other.1 != look.1));
            let open = Theme::open_marker(index);
            assert!(looks.iter().all(|other| other.1 != open));
            assert!((0..index).all(|other| Theme::open_marker(other) != open));
            let same = looks[..index].iter().any(|other| other.0 == look.0);
            assert_eq!(same, name == ThemeName::None && index > 0);
        }
    }
}
