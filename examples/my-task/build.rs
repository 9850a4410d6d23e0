//! Links the program with libtorch.

fn main() {
    lookahead_build::link();
}
