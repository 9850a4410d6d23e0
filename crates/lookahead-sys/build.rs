//! Compiles the C++ shim against the libtorch that torch-sys found, and tells dependent crates
//! how to link programs against it.

use std::env;
use std::path::{Path, PathBuf};

/// Separates the arguments in the metadata `link_args`; no path contains it.
const SEPARATOR: &str = "\u{1f}";

fn main() {
    println!("cargo:rerun-if-changed=cpp");
    println!("cargo:rerun-if-changed=src/ffi.rs");
    println!("cargo:rerun-if-env-changed=LIBTORCH_INCLUDE");
    println!("cargo:rerun-if-env-changed=LIBTORCH_CXX11_ABI");

    // torch-sys hands this over to the crates that depend on it directly.
    let lib = PathBuf::from(
        env::var_os("DEP_TCH_LIBTORCH_LIB")
            .expect("torch-sys tells where libtorch's libraries are"),
    );
    compile(&include_root(&lib));
    // `.libtorch` is a link inside one clone; a program must survive the clone's removal.
    let lib = lib.canonicalize().unwrap_or(lib);

    let arguments = link_arguments(&lib);
    for argument in &arguments {
        println!("cargo:rustc-link-arg={argument}");
    }
    println!("cargo:link_args={}", arguments.join(SEPARATOR));
}

fn include_root(lib: &Path) -> PathBuf {
    // With LIBTORCH_USE_PYTORCH torch-sys asks Python instead, and looks at no other variable.
    let python = env::var_os("LIBTORCH_USE_PYTORCH").is_some();
    match env::var_os("LIBTORCH_INCLUDE").filter(|_| !python) {
        Some(root) => PathBuf::from(root).join("include"),
        None => lib.parent().expect("a library folder has a parent").join("include"),
    }
}

fn compile(include: &Path) {
    let abi = env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".to_owned());
    let mut build = cxx_build::bridge("src/ffi.rs");
    // ATen's parallel loops are OpenMP's, on the runtime that libtorch itself uses. Another compiler
    // might bring a runtime of its own beside it: there the loops run on one thread.
    let openmp = build.get_compiler().is_like_gnu();
    if openmp {
        build.flag("-fopenmp");
    }
    build
        .file("cpp/adaptive.cc")
        .file("cpp/arithmetic.cc")
        .file("cpp/autocast.cc")
        .file("cpp/buckets.cc")
        .file("cpp/distributed.cc")
        .file("cpp/finite.cc")
        .file("cpp/fused.cc")
        .file("cpp/generator.cc")
        .file("cpp/images.cc")
        .file("cpp/inference.cc")
        .file("cpp/memory.cc")
        .file("cpp/memory_format.cc")
        .file("cpp/ops.cc")
        .file("cpp/optimizer.cc")
        .file("cpp/sync.cc")
        .file("cpp/tensor.cc")
        // What libtorch's header of its Gloo backend includes, and the wheel does not bring.
        .include("cpp")
        .std("c++17")
        // As torch-sys compiles its half: both pass C++ strings to the same libtorch.
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .flag("-isystem")
        .flag(include.display().to_string())
        .flag("-isystem")
        .flag(include.join("torch/csrc/api/include").display().to_string())
        // libtorch's headers warn about themselves even as system headers, through templates.
        .flag_if_supported("-Wno-unused-parameter")
        // Loops over weights are what this is for, in a debug build of the program too.
        .opt_level(3)
        .flag_if_supported("-fno-math-errno")
        // The same bits on every processor: no multiply-add where one has it and another has not.
        .flag_if_supported("-ffp-contract=off")
        .compile("lookahead-shim");
    if openmp {
        println!("cargo:rustc-link-lib=gomp");
    }
}

/// What a program that uses libtorch must be linked with, beyond what torch-sys asks for.
fn link_arguments(lib: &Path) -> Vec<String> {
    let mut arguments = vec![format!("-Wl,-rpath,{}", lib.display())];
    if lib.join("libtorch_cuda.so").exists() {
        // No symbol of libtorch_cuda is named by a Rust program: the library registers its kernels
        // when it is loaded. The linker would drop it as unneeded, and CUDA with it. Without
        // libtorch_cuda there the same flags would make the program ask for it and not start.
        arguments.extend([
            "-Wl,--no-as-needed".to_owned(),
            format!("-L{}", lib.display()),
            "-ltorch_cuda".to_owned(),
            "-ltorch".to_owned(),
            "-Wl,--as-needed".to_owned(),
        ]);
    }
    arguments
}
