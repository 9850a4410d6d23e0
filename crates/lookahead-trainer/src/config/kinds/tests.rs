use super::*;
use serde::Deserialize;

/// A shape with corners.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Corners {
    corners: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    tilt: f64,
}

impl Default for Corners {
    fn default() -> Self {
        Corners { corners: 4, name: None, tilt: 0.0 }
    }
}

impl KindOptions for Corners {
    fn check(&self) -> Result<(), ConfigIssue> {
        let corners = self.corners;
        super::super::issue::require(corners >= 3, "shape.corners", corners, "3 or more")
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Round {
    radius: f64,
}

impl KindOptions for Round {
    fn why_not(key: &str) -> Option<&'static str> {
        (key == "corners").then_some("is round")
    }
}

fn with_section<T>(work: impl FnOnce(Section<'_>) -> T) -> T {
    let kinds = [Schema::of::<Corners>("polygon"), Schema::of::<Round>("circle")];
    let neutral = table("tilt = 0.0");
    work(Section { name: "shape", common: &["kind", "color"], neutral, kinds: &kinds })
}

fn table(text: &str) -> Table {
    text.parse().unwrap()
}

fn resolved(kind: &str, options: &str) -> Result<Table, ConfigIssue> {
    let options = table(options);
    with_section(|section| {
        section.check_types(kind, &options)?;
        section.resolve(section.find(kind)?, options)
    })
}

#[test]
fn defaults_are_filled_in_and_every_kind_has_the_neutral_keys() {
    let polygon = resolved("polygon", "corners = 5").unwrap();
    assert_eq!(polygon, table("corners = 5\ntilt = 0.0"));
    for tilt in ["", "tilt = 0.0", "tilt = 0"] {
        let circle = resolved("circle", tilt).unwrap();
        assert_eq!(circle, table("radius = 0.0\ntilt = 0.0"));
        let schema = Schema::of::<Round>("circle");
        assert_eq!(schema.own(&circle), table("radius = 0.0"));
    }
}

#[test]
fn each_fault_names_its_key_and_what_is_allowed() {
    for (kind, options, key, words) in [
        ("line", "", "shape.kind", "`shape.kind` is line. Use one of `polygon`, `circle`."),
        (
            "circle",
            "size = 1",
            "shape.size",
            "There is no key `shape.size`. The keys here are `kind`, `color`, `radius`.",
        ),
        ("polygon", "corners = \"x\"", "shape.corners", "Invalid type: string"),
        // The type of another kind's key is checked too.
        ("circle", "corners = \"x\"", "shape.corners", "Invalid type: string"),
        ("polygon", "corners = 2", "shape.corners", "`shape.corners` is 2. Use 3 or more."),
        (
            "circle",
            "corners = 4",
            "shape.corners",
            "`shape.corners` belongs to polygon only: circle is round. Remove it",
        ),
        ("circle", "tilt = 1.0", "shape.tilt", "`shape.tilt` belongs to polygon only. Remove"),
    ] {
        let issue = resolved(kind, options).unwrap_err();
        assert_eq!(issue.key, key);
        assert!(issue.message.contains(words), "{}", issue.message);
    }
}

#[test]
fn a_key_is_foreign_if_only_other_kinds_have_it() {
    with_section(|section| {
        assert!(section.is_foreign("circle", "corners"));
        assert!(!section.is_foreign("polygon", "corners"));
        assert!(!section.is_foreign("circle", "color"));
        assert!(!section.is_foreign("line", "corners"), "an unknown kind is an error of its own");
    });
}

#[test]
fn the_documentation_has_the_keys_of_each_kind() {
    let kinds = crate::registry::Registry::builtin().kinds().clone();
    for schema in kinds.data.iter().chain(&kinds.models).chain(&kinds.optimizers) {
        let documented: Vec<&str> = schema.documented.iter().map(|key| key.name).collect();
        let sorted = |names: &[&'static str]| {
            let mut names = names.to_vec();
            names.sort_unstable();
            names
        };
        assert_eq!(sorted(&documented), sorted(schema.keys), "{}", schema.name);
    }
}
