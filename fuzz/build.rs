//! Links the targets with libtorch.

fn main() {
    lookahead_build::link();
}
