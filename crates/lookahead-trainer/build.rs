//! Links the program and its tests with libtorch, and passes the arguments on to dependents.

fn main() {
    lookahead_build::link_and_pass_on();
}
