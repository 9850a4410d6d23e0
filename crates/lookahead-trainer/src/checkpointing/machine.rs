//! What determines the last bits of a machine's results.

use std::collections::{BTreeMap, BTreeSet};

use lookahead_core::tch_ext::build;
use lookahead_run::TrainingMetadata;

/// Environment variables by which libtorch and its libraries choose other kernels, another precision, or another order
/// of sums. Instead of `OMP_NUM_THREADS` the number of threads itself is recorded.
const VARIABLES: [&str; 17] = [
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "DNNL_CPU_ISA_HINTS",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_DOMAIN_NUM_THREADS",
    "MKL_DYNAMIC",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_DYNAMIC",
    "ONEDNN_CPU_ISA_HINTS",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
];

/// What determines the last bits of this machine's results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Threads inside one operation of libtorch.
    pub threads: u32,
    /// Vector instructions of ATen's kernels.
    pub cpu_capability: String,
    /// The processor's model; empty if it is not known.
    pub processor: String,
    /// Those of `VARIABLES` that are set.
    pub environment: BTreeMap<String, String>,
}

impl Machine {
    /// This one, now.
    pub fn here() -> Self {
        let value = |name: &&str| {
            let value = std::env::var_os(name)?;
            Some(((*name).to_owned(), value.to_string_lossy().into_owned()))
        };
        Machine {
            threads: tch::get_num_threads().max(1) as u32,
            cpu_capability: build::cpu_capability(),
            processor: processor(),
            environment: VARIABLES.iter().filter_map(value).collect(),
        }
    }

    /// A sentence about differences that may change the last bits of a resumed run. What a checkpoint of an earlier
    /// version did not record is not compared.
    pub(crate) fn other_bits(&self, saved: &TrainingMetadata) -> Option<String> {
        let mut differences = Vec::new();
        let mut compare = |then: &str, now: &str, what: &str| {
            if then != now {
                differences.push(format!("{then}{what} then and {now} now"));
            }
        };
        let saved = &saved.machine;
        compare(&saved.compute.threads.to_string(), &self.threads.to_string(), " threads");
        compare(&saved.compute.cpu_capability, &self.cpu_capability, " kernels");
        if !saved.processor.is_empty() && !self.processor.is_empty() {
            compare(&saved.processor, &self.processor, "");
        }
        if let Some(environment) = &saved.environment {
            for name in environment.keys().chain(self.environment.keys()).collect::<BTreeSet<_>>() {
                let set = |in_it: &BTreeMap<String, String>| match in_it.get(name) {
                    Some(value) => format!("{name}={value}"),
                    None => format!("no {name}"),
                };
                compare(&set(environment), &set(&self.environment), "");
            }
        }
        (!differences.is_empty()).then(|| {
            format!(
                "The checkpoint was saved with {}. Sums are taken in another order, so the run continues correctly \
                 but may not be bit-identical to one that was never interrupted.",
                differences.join(", ")
            )
        })
    }
}

/// As Linux calls it.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(String::new, |(_, model)| model.trim().to_owned())
}

#[cfg(test)]
mod tests;
