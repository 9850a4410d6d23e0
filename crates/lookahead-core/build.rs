//! Links this crate's tests and examples with libtorch, and passes the arguments on to dependents.

fn main() {
    lookahead_build::link_and_pass_on();
}
