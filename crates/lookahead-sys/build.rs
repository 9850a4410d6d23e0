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
    println!("cargo:rerun-if-env-changed=CUDA_HOME");
    println!("cargo:rerun-if-env-changed=CUDA_PATH");

    // torch-sys hands this over to the crates that depend on it directly.
    let lib = PathBuf::from(
        env::var_os("DEP_TCH_LIBTORCH_LIB")
            .expect("torch-sys tells where libtorch's libraries are"),
    );
    // Clippy, for which cargo runs this file separately, links nothing.
    let wrapper = env::var_os("RUSTC_WORKSPACE_WRAPPER").map(PathBuf::from).unwrap_or_default();
    if !wrapper.ends_with("clippy-driver") {
        compile(&include_root(&lib), &nccl_headers(&lib));
    }
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

/// The folders of the headers that c10d's NCCL backend asks for; none where libtorch has no CUDA, or
/// where one of them is missing: then processes on GPUs meet over Gloo.
fn nccl_headers(lib: &Path) -> Vec<PathBuf> {
    if !lib.join("libtorch_cuda.so").exists() {
        return Vec::new();
    }
    // As NVIDIA's wheels lie beside torch's: those of the libraries that it is used with come first.
    let beside = lib.ancestors().nth(2).map(|packages| packages.join("nvidia"));
    let wheels = beside.and_then(|folder| folder.read_dir().ok()).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = wheels.map(|package| package.path().join("include")).collect();
    let toolkits = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(env::var_os);
    folders.extend(toolkits.map(|root| PathBuf::from(root).join("include")));
    folders.extend(["/usr/local/cuda/include", "/usr/include"].map(PathBuf::from));
    let mut found = Vec::new();
    for header in ["nccl.h", "cuda_runtime.h", "crt/host_config.h", "nv/target"] {
        match folders.iter().find(|folder| folder.join(header).exists()) {
            Some(folder) if found.contains(folder) => {}
            Some(folder) => found.push(folder.clone()),
            None => {
                println!(
                    "cargo:warning=libtorch has CUDA, and {header} is in none of the folders where it is \
                     looked for: processes on several GPUs will meet over Gloo, which is slower than \
                     NCCL. Set CUDA_HOME to a CUDA toolkit with NCCL's headers, and build again after \
                     `cargo clean --release --package lookahead-sys`."
                );
                return Vec::new();
            }
        }
    }
    found
}

fn compile(include: &Path, nccl_headers: &[PathBuf]) {
    let abi = env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".to_owned());
    let mut build = cxx_build::bridge("src/ffi.rs");
    // ATen's parallel loops are OpenMP's, on the runtime that libtorch itself uses. Another compiler
    // might bring a runtime of its own beside it: there the loops run on one thread.
    let openmp = build.get_compiler().is_like_gnu();
    if openmp {
        build.flag("-fopenmp");
    }
    if !nccl_headers.is_empty() {
        build.define("LOOKAHEAD_NCCL", None);
    }
    build
        .file("cpp/adaptive.cc")
        .file("cpp/arithmetic.cc")
        .file("cpp/autocast.cc")
        .file("cpp/batch_statistics.cc")
        .file("cpp/buckets.cc")
        .file("cpp/cerr.cc")
        .file("cpp/distributed.cc")
        .file("cpp/finite.cc")
        .file("cpp/fused.cc")
        .file("cpp/generator.cc")
        .file("cpp/images.cc")
        .file("cpp/inference.cc")
        .file("cpp/memory.cc")
        .file("cpp/memory_format.cc")
        .file("cpp/nccl_backend.cc")
        .file("cpp/norm.cc")
        .file("cpp/ops.cc")
        .file("cpp/optimizer.cc")
        .file("cpp/sync.cc")
        .file("cpp/tensor.cc")
        // What libtorch's header of its Gloo backend includes, and the wheel does not bring.
        .include("cpp")
        .std("c++17")
        // As torch-sys compiles its half: both pass C++ strings to the same libtorch.
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        // As libtorch is compiled: some of its classes have members for checks alone.
        .define("NDEBUG", None)
        .flag("-isystem")
        .flag(include.display().to_string())
        .flag("-isystem")
        .flag(include.join("torch/csrc/api/include").display().to_string())
        .flags(
            nccl_headers
                .iter()
                // Where the compiler looks by itself, last; earlier, its own headers would not find it.
                .filter(|folder| *folder != Path::new("/usr/include"))
                .flat_map(|folder| ["-isystem".to_owned(), folder.display().to_string()]),
        )
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
