//! Compiles the C++ shim against torch-sys's libtorch, and passes the link arguments for programs to dependent
//! crates.

use std::env;
use std::path::{Path, PathBuf};

/// Separates the arguments in the metadata `link_args`; no path contains this.
const SEPARATOR: &str = "\u{1f}";

/// The files in `cpp`.
const FILES: [&str; 29] = [
    "adagrad",
    "adan",
    "adaptive",
    "arithmetic",
    "autocast",
    "average",
    "batch_statistics",
    "buckets",
    "cautious_adam",
    "cerr",
    "distributed",
    "finite",
    "fused",
    "generator",
    "images",
    "inference",
    "lion",
    "memory",
    "memory_format",
    "muon",
    "nadam",
    "nccl_backend",
    "norm",
    "ops",
    "optimizer",
    "radam",
    "sync",
    "tensor",
    "torchscript",
];

fn main() {
    println!("cargo:rerun-if-changed=cpp");
    println!("cargo:rerun-if-changed=src/ffi.rs");
    println!("cargo:rerun-if-env-changed=LIBTORCH_INCLUDE");
    println!("cargo:rerun-if-env-changed=LIBTORCH_CXX11_ABI");
    println!("cargo:rerun-if-env-changed=CUDA_HOME");
    println!("cargo:rerun-if-env-changed=CUDA_PATH");

    // torch-sys passes this to its direct dependents.
    let lib = PathBuf::from(
        env::var_os("DEP_TCH_LIBTORCH_LIB")
            .expect("torch-sys sets the folder of libtorch's libraries"),
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
    // With LIBTORCH_USE_PYTORCH torch-sys asks Python, and ignores the other variables.
    let python = env::var_os("LIBTORCH_USE_PYTORCH").is_some();
    match env::var_os("LIBTORCH_INCLUDE").filter(|_| !python) {
        Some(root) => PathBuf::from(root).join("include"),
        None => lib.parent().expect("a library folder has a parent").join("include"),
    }
}

/// The folders of the headers that c10d's NCCL backend includes. None if libtorch has no CUDA or a header is
/// missing: then processes on GPUs use Gloo.
fn nccl_headers(lib: &Path) -> Vec<PathBuf> {
    if !lib.join("libtorch_cuda.so").exists() {
        return Vec::new();
    }
    // NVIDIA's wheels beside torch's come first, because their versions match.
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
                    "cargo:warning=libtorch has CUDA, but {header} was not found: processes on several GPUs \
                     will use Gloo, which is slower than NCCL. Set CUDA_HOME to a CUDA toolkit with NCCL's \
                     headers, and build again after `cargo clean --release --package lookahead-sys`."
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
    // ATen's parallel loops use OpenMP, on libtorch's own runtime. Another compiler might add a second runtime:
    // there the loops run on one thread.
    let openmp = build.get_compiler().is_like_gnu();
    if openmp {
        build.flag("-fopenmp");
    }
    if !nccl_headers.is_empty() {
        build.define("LOOKAHEAD_NCCL", None);
    }
    build
        .files(FILES.iter().map(|name| format!("cpp/{name}.cc")))
        // For Gloo's headers, which libtorch's wheel lacks.
        .include("cpp")
        .std("c++17")
        // Like torch-sys: both pass C++ strings to the same libtorch.
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        // Like libtorch: some of its classes have members only for checks.
        .define("NDEBUG", None)
        .flag("-isystem")
        .flag(include.display().to_string())
        .flag("-isystem")
        .flag(include.join("torch/csrc/api/include").display().to_string())
        .flags(
            nccl_headers
                .iter()
                // A system folder, which the compiler's own headers must find in its usual order.
                .filter(|folder| *folder != Path::new("/usr/include"))
                .flat_map(|folder| ["-isystem".to_owned(), folder.display().to_string()]),
        )
        // libtorch's headers cause warnings even as system headers, through templates.
        .flag_if_supported("-Wno-unused-parameter")
        // The loops over weights must be fast in a debug build too.
        .opt_level(3)
        .flag_if_supported("-fno-math-errno")
        // Identical to the bit on every processor: no fused multiply-add.
        .flag_if_supported("-ffp-contract=off")
        .compile("lookahead-shim");
    if openmp {
        println!("cargo:rustc-link-lib=gomp");
    }
}

/// The link arguments of a program on libtorch, beyond those of torch-sys.
fn link_arguments(lib: &Path) -> Vec<String> {
    let mut arguments = vec![format!("-Wl,-rpath,{}", lib.display())];
    if lib.join("libtorch_cuda.so").exists() {
        // A Rust program names no symbol of libtorch_cuda, which registers its kernels when it is loaded, so the
        // linker would drop it, and CUDA with it. If the library is missing, the same flags would keep the
        // program from starting.
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
