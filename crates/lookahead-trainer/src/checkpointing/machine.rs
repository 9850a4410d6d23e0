//! What of a machine decides the last bits of what it computes.

use std::collections::{BTreeMap, BTreeSet};

use lookahead_core::tch_ext::build;
use lookahead_run::TrainingMetadata;

/// Environment variables by which libtorch and its libraries choose other kernels, another precision, or
/// another order of sums. `OMP_NUM_THREADS` is not among them: the number of threads is recorded itself.
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

/// What of this machine decides the last bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Threads inside one operation of libtorch.
    pub threads: u32,
    /// Vector instructions of ATen's kernels.
    pub cpu_capability: String,
    /// The processor's model; empty where the system does not tell.
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

    /// What of it may make a resumed run differ in its last bits, as a sentence. Checkpoints of earlier
    /// versions don't tell all of it, and what they don't tell is not compared.
    pub fn other_bits(&self, saved: &TrainingMetadata) -> Option<String> {
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
                "The checkpoint was saved with {}: sums are taken in another order, so the run goes \
                 on correctly but may not be bit-identical to one that was never interrupted.",
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
mod tests {
    use super::*;
    use lookahead_run::MachineInfo;
    use lookahead_run::event::Compute;

    fn machine() -> Machine {
        let environment = [("MKL_CBWR".to_owned(), "AVX2".to_owned())].into();
        let (cpu_capability, processor) = ("AVX2".to_owned(), "Some CPU".to_owned());
        Machine { threads: 2, cpu_capability, processor, environment }
    }

    fn metadata(of: &Machine) -> TrainingMetadata {
        let (threads, cpu_capability) = (of.threads, of.cpu_capability.clone());
        let machine = MachineInfo {
            compute: Compute { threads, cpu_capability, ..Compute::default() },
            processor: of.processor.clone(),
            environment: Some(of.environment.clone()),
        };
        TrainingMetadata { machine, ..TrainingMetadata::default() }
    }

    #[test]
    fn what_differs_is_named() {
        let here = machine();
        assert_eq!(here.other_bits(&metadata(&here)), None);
        let other = |change: fn(&mut Machine)| {
            let mut saved = machine();
            change(&mut saved);
            here.other_bits(&metadata(&saved)).unwrap()
        };
        let said = [
            (other(|m| m.threads = 4), "4 threads then and 2 now"),
            (other(|m| m.cpu_capability = "AVX512".into()), "AVX512 kernels then and AVX2 now"),
            (other(|m| m.processor = "Another".into()), "Another then and Some CPU now"),
            (other(|m| m.environment.clear()), "no MKL_CBWR then and MKL_CBWR=AVX2 now"),
        ];
        for (said, words) in &said {
            assert!(said.contains(words), "{said}");
        }
        let said = other(|m| drop(m.environment.insert("MKL_CBWR".into(), "SSE2".into())));
        assert_eq!(said.matches("MKL_CBWR=SSE2 then and MKL_CBWR=AVX2 now").count(), 1, "{said}");
    }

    #[test]
    fn what_an_earlier_version_did_not_record_is_not_compared() {
        let here = machine();
        let mut saved = metadata(&here);
        (saved.machine.processor, saved.machine.environment) = (String::new(), None);
        assert_eq!(here.other_bits(&saved), None);
    }
}
