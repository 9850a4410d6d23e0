//! Links the program with libtorch as lookahead-trainer says.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let arguments = std::env::var("DEP_LOOKAHEAD_TRAINER_LINK_ARGS")
        .expect("lookahead-trainer sets it for crates that depend on it");
    for argument in arguments.split('\u{1f}') {
        println!("cargo:rustc-link-arg={argument}");
    }
}
