//! Compiles the C++ shim against torch-sys's libtorch, and passes the link arguments for programs to dependent
//! crates.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

// In `src`, where they are tested.
#[path = "src/build/kept_shim.rs"]
mod kept_shim;
#[path = "src/build/version.rs"]
mod version;

use kept_shim::KeptShim;

/// Separates the arguments in the metadata `link_args`, which lookahead-build reads; no path contains this.
const SEPARATOR: &str = "\u{1f}";

/// What is compiled together: libtorch's headers cost more than the code, so files in `cpp` that need the same
/// ones share them. Names in their anonymous namespaces must differ, too. A unit is compiled if its feature is on.
struct Unit {
    name: &'static str,
    feature: Option<&'static str>,
    files: &'static [&'static str],
}

const UNITS: [Unit; 9] = [
    Unit {
        name: "steps",
        feature: None,
        files: &["adagrad", "adan", "average", "cautious_adam", "lion", "nadam", "radam"],
    },
    Unit {
        name: "weights",
        feature: None,
        files: &["adaptive", "batch_statistics", "ops", "sync"],
    },
    Unit { name: "matrices", feature: None, files: &["muon", "norm"] },
    Unit { name: "optimizers", feature: None, files: &["finite", "fused", "optimizer"] },
    Unit {
        name: "modes",
        feature: None,
        files: &[
            "arithmetic",
            "autocast",
            "cerr",
            "generator",
            "inference",
            "memory",
            "memory_format",
            "tensor",
        ],
    },
    Unit { name: "images", feature: Some("images"), files: &["images"] },
    Unit { name: "groups", feature: Some("distributed"), files: &["distributed", "buckets"] },
    // By itself, since its headers need CUDA's.
    Unit { name: "nccl", feature: Some("distributed"), files: &["nccl_backend"] },
    Unit { name: "modules", feature: Some("torchscript"), files: &["torchscript"] },
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/build");
    println!("cargo:rerun-if-env-changed=DOCS_RS");
    // Documentation needs neither libtorch nor a C++ compiler.
    if has_feature("doc-only") || env::var_os("DOCS_RS").is_some() {
        // No arguments, which is not the same as none from this crate.
        println!("cargo:link_args=");
        return;
    }
    println!("cargo:rerun-if-changed=cpp");
    println!("cargo:rerun-if-changed=src/ffi.rs");
    println!("cargo:rerun-if-changed=src/ffi");
    println!("cargo:rerun-if-env-changed=LIBTORCH_INCLUDE");
    println!("cargo:rerun-if-env-changed=LIBTORCH_CXX11_ABI");
    println!("cargo:rerun-if-env-changed=LIBTORCH_BYPASS_VERSION_CHECK");
    println!("cargo:rerun-if-env-changed=CUDA_HOME");
    println!("cargo:rerun-if-env-changed=CUDA_PATH");

    // torch-sys passes this to its direct dependents.
    let lib = PathBuf::from(
        env::var_os("DEP_TCH_LIBTORCH_LIB")
            .expect("torch-sys sets the folder of libtorch's libraries"),
    );
    let include = include_root(&lib);
    if let Some(refusal) = other_version(&include) {
        println!("cargo::error={refusal}");
        return;
    }
    // Clippy, for which cargo runs this file separately, links nothing.
    let wrapper = env::var_os("RUSTC_WORKSPACE_WRAPPER").map(PathBuf::from).unwrap_or_default();
    if !wrapper.ends_with("clippy-driver") {
        compile(&include, &nccl_headers(&lib));
    }
    // `.libtorch` is a link inside one clone; a program must survive the clone's removal.
    let lib = lib.canonicalize().unwrap_or(lib);

    let arguments = link_arguments(&lib);
    for argument in &arguments {
        println!("cargo:rustc-link-arg={argument}");
    }
    println!("cargo:link_args={}", arguments.join(SEPARATOR));
}

/// Whether cargo builds this crate with a feature.
fn has_feature(name: &str) -> bool {
    let variable = format!("CARGO_FEATURE_{}", name.to_uppercase().replace('-', "_"));
    env::var_os(variable).is_some()
}

/// Refuses a libtorch of another version, by the headers. The variable with which torch-sys does not check does the
/// same here.
fn other_version(include: &Path) -> Option<String> {
    if env::var_os("LIBTORCH_BYPASS_VERSION_CHECK").is_some() {
        return None;
    }
    let header = std::fs::read_to_string(include.join("torch/headeronly/version.h")).ok()?;
    version::refusal(&header, include.parent().unwrap_or(include))
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
    let mut bridges = vec!["src/ffi.rs"];
    for (feature, bridge) in [
        ("distributed", "src/ffi/distributed.rs"),
        ("images", "src/ffi/images.rs"),
        ("torchscript", "src/ffi/torchscript.rs"),
    ] {
        if has_feature(feature) {
            bridges.push(bridge);
        }
    }
    let mut build = cxx_build::bridges(bridges);
    // ATen's parallel loops use OpenMP, on libtorch's own runtime. Another compiler might add a second runtime:
    // there the loops run on one thread.
    let openmp = build.get_compiler().is_like_gnu();
    if openmp {
        build.flag("-fopenmp");
    }
    if !nccl_headers.is_empty() {
        build.define("LOOKAHEAD_NCCL", None);
    }
    let out = out_folder();
    build
        .files(units(&out))
        // For the units.
        .include(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"))
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
        .flag_if_supported("-ffp-contract=off");
    let library = out.join("liblookahead-shim.a");
    let kept = kept_shim(&out, include, &build.get_compiler().to_command());
    if kept.as_ref().is_some_and(|kept| kept.restore(&library)) {
        println!("cargo:rustc-link-lib=static=lookahead-shim");
        println!("cargo:rustc-link-search=native={}", out.display());
    } else {
        build.compile("lookahead-shim");
        // Without it the next build takes longer.
        let _ = kept.map(|kept| kept.keep(&library));
    }
    if openmp {
        println!("cargo:rustc-link-lib=gomp");
    }
}

fn out_folder() -> PathBuf {
    PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"))
}

/// Where the shim is kept that `compiler` makes of the units in `out`. None if the sources can't be read, or the compiler
/// does not say what it is.
fn kept_shim(out: &Path, include: &Path, compiler: &Command) -> Option<KeptShim> {
    // Of this profile: out is in build/lookahead-sys-…/.
    let folder = out.ancestors().nth(3)?.join("lookahead-shim");
    let version = Command::new(compiler.get_program()).arg("--version").output().ok()?.stdout;
    let version = String::from_utf8(version).ok()?;
    // Not its environment, in which cargo's variables are others in each build.
    let arguments: Vec<_> =
        [compiler.get_program()].into_iter().chain(compiler.get_args()).collect();
    // Its own folder is another in each build, and holds the same.
    let flags = format!("{arguments:?}").replace(out.to_str()?, "OUT_DIR");
    let command = format!("{flags} {version}");
    let bridges = out.join("cxxbridge");
    let sources = [
        "cpp".into(),
        out.join("units"),
        bridges.join("include"),
        bridges.join("sources"),
        include.join("torch/headeronly/version.h"),
    ];
    KeptShim::new(&folder, &command, &sources).ok()
}

/// Writes a file for each unit, which includes those in `cpp`.
fn units(out: &Path) -> Vec<PathBuf> {
    let folder = out.join("units");
    std::fs::create_dir_all(&folder).expect("OUT_DIR is writable");
    let selected = UNITS.iter().filter(|unit| unit.feature.is_none_or(has_feature));
    let write = |unit: &Unit| {
        let path = folder.join(format!("{}.cc", unit.name));
        let includes = unit.files.iter().map(|file| format!("#include \"cpp/{file}.cc\"\n"));
        std::fs::write(&path, includes.collect::<String>()).expect("OUT_DIR is writable");
        path
    };
    selected.map(write).collect()
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
