//! Links the targets with libtorch as lookahead-core says.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let arguments =
        std::env::var("DEP_LOOKAHEAD_CORE_LINK_ARGS").expect("lookahead-core tells them");
    for argument in arguments.split('\u{1f}') {
        println!("cargo:rustc-link-arg={argument}");
    }
}
