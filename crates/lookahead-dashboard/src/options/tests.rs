use super::*;

#[test]
fn the_locale_tells_whether_there_is_more_than_ascii() {
    for (locale, ascii) in [
        ("en_US.UTF-8", false),
        ("C.utf8", false),
        ("C", false),
        ("POSIX", false),
        ("de_DE.ISO-8859-1", true),
        ("en_US", true),
    ] {
        assert_eq!(is_ascii(locale), ascii, "{locale}");
    }
}
