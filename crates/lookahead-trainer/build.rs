//! Links the program and its tests with libtorch as lookahead-core says, and passes the arguments on to dependents
//! as `DEP_LOOKAHEAD_TRAINER_LINK_ARGS`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let arguments = std::env::var("DEP_LOOKAHEAD_CORE_LINK_ARGS").expect("lookahead-core sets it");
    for argument in arguments.split('\u{1f}') {
        println!("cargo:rustc-link-arg={argument}");
    }
    println!("cargo:link_args={arguments}");
}
