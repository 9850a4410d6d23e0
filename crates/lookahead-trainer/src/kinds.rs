//! Tables of kinds, of data sets and of models: one line a kind.

use crate::config::check::ConfigIssue;

/// An enum of kinds as they are named in configurations, each with the constant `ENTRY` of its module.
macro_rules! kinds {
    (
        $(#[$attribute:meta])*
        pub enum $kind:ident: $entry:ident {
            $($(#[$note:meta])* $variant:ident = $name:literal in $module:ident,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize
        )]
        pub enum $kind {
            $($(#[$note])* #[serde(rename = $name)] $variant,)*
        }

        impl $kind {
            /// All of them.
            pub const ALL: &'static [$kind] = &[$($kind::$variant),*];

            /// Its name in configurations.
            pub const fn name(self) -> &'static str {
                match self {
                    $($kind::$variant => $name,)*
                }
            }

            /// What its file says of it.
            pub fn entry(self) -> &'static $entry {
                match self {
                    $($kind::$variant => &$module::ENTRY,)*
                }
            }
        }

        impl crate::kinds::Kinds for $kind {
            const ALL: &'static [$kind] = $kind::ALL;

            fn name(self) -> &'static str {
                $kind::name(self)
            }

            fn keys(self) -> &'static [&'static str] {
                self.entry().keys
            }
        }
    };
}
pub(crate) use kinds;

/// The kinds of a table.
pub(crate) trait Kinds: Copy + 'static {
    /// All of them.
    const ALL: &'static [Self];

    /// Its name in configurations.
    fn name(self) -> &'static str;

    /// Those of its section's keys, dotted, that not all kinds have, and it has.
    fn keys(self) -> &'static [&'static str];
}

/// An error for the first key that is given and does not belong to the kind.
pub(crate) fn refuse_foreign<K: Kinds>(
    kind: K,
    given: &[(&'static str, bool)],
) -> Result<(), ConfigIssue> {
    let foreign = given.iter().find(|(key, given)| *given && !kind.keys().contains(key));
    let Some((key, _)) = foreign else { return Ok(()) };
    let owners: Vec<&str> =
        K::ALL.iter().filter(|kind| kind.keys().contains(key)).map(|kind| kind.name()).collect();
    let owners = owners.join(", ");
    let message =
        format!("The key `{key}` belongs to {owners} only: take it out, or choose such a kind.");
    Err(ConfigIssue::new(key, message))
}

/// Those of `keys`, dotted, that the kind of a name does not have; `None` where there is no such kind.
pub(crate) fn foreign<K: Kinds>(
    name: &str,
    keys: impl IntoIterator<Item = &'static str>,
) -> Option<Vec<&'static str>> {
    let kind = K::ALL.iter().find(|kind| kind.name() == name)?;
    Some(keys.into_iter().filter(|key| !kind.keys().contains(key)).collect())
}
