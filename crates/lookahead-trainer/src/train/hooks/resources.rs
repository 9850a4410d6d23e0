//! What this process uses of the machine.

use std::time::Instant;

use lookahead_run::event::{Gpu, System};
use nvml_wrapper::Nvml;
use rustix::time::{ClockId, clock_gettime};
use tch::Device;

/// Measures what was used from one look to the next.
#[derive(Debug)]
pub struct ResourceMonitor {
    looked: Instant,
    /// Processor time of all threads until then, in seconds.
    used: f64,
    gpu: Option<(Nvml, Name)>,
}

impl ResourceMonitor {
    /// Begins now. NVML is asked for only where the training is on a GPU; where it can't be had, that
    /// stays so.
    pub fn new(device: Device) -> Self {
        let gpu = match device {
            Device::Cuda(index) => {
                let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
                name(visible.as_deref(), index).and_then(|name| Some((Nvml::init().ok()?, name)))
            }
            _ => None,
        };
        ResourceMonitor { looked: Instant::now(), used: processor_seconds(), gpu }
    }

    /// What was used since the last look. Nothing where the system does not tell.
    pub fn look(&mut self) -> Option<System> {
        let (now, used) = (Instant::now(), processor_seconds());
        let seconds = (now - self.looked).as_secs_f64().max(f64::MIN_POSITIVE);
        let cpu = (used - self.used).max(0.0) / seconds;
        (self.looked, self.used) = (now, used);
        let gpu = self.gpu.as_ref().and_then(|(nvml, name)| ask(nvml, name));
        Some(System { cpu, memory: resident_bytes()?, gpu })
    }
}

fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn resident_bytes() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let resident: u64 = pages.split_whitespace().nth(1)?.parse().ok()?;
    resident.checked_mul(rustix::param::page_size() as u64)
}

/// By what NVML finds a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Index(u32),
    Uuid(String),
}

/// NVML's name of a CUDA device. NVML counts all GPUs of the machine in the order of their places on
/// the bus; CUDA those of `CUDA_VISIBLE_DEVICES`, in its order. Without that variable CUDA counts the
/// fastest first: where a machine has GPUs of several models, what is told may be another one's,
/// unless `CUDA_DEVICE_ORDER=PCI_BUS_ID` is set. A part of a GPU (MIG) is not asked about, nor one
/// by the beginning of its UUID only.
fn name(visible: Option<&str>, index: usize) -> Option<Name> {
    let Some(visible) = visible else { return Some(Name::Index(u32::try_from(index).ok()?)) };
    let word = visible.split(',').nth(index)?.trim();
    match word.parse() {
        Ok(index) => Some(Name::Index(index)),
        Err(_) if word.starts_with("GPU-") => Some(Name::Uuid(word.to_owned())),
        Err(_) => None,
    }
}

fn ask(nvml: &Nvml, name: &Name) -> Option<Gpu> {
    let device = match name {
        Name::Index(index) => nvml.device_by_index(*index),
        Name::Uuid(uuid) => nvml.device_by_uuid(uuid.as_str()),
    };
    let device = device.ok()?;
    let memory = device.memory_info().ok()?;
    let utilization = f64::from(device.utilization_rates().ok()?.gpu) / 100.0;
    Some(Gpu { utilization, memory_used: memory.used, memory_total: memory.total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_process_uses_processor_time_and_memory() {
        let mut meter = ResourceMonitor::new(Device::Cpu);
        let before = processor_seconds();
        let mut sum = 0u64;
        while processor_seconds() < before + 0.05 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let found = meter.look().unwrap();
        // Other threads of the test may compute as well, and others' processes take turns with it.
        assert!(found.cpu > 0.001, "{found:?}");
        assert!((1 << 20..1u64 << 40).contains(&found.memory), "{found:?}");
        assert_eq!(found.gpu, None);
        let ones = vec![1u8; 64 << 20];
        let more = meter.look().unwrap().memory;
        assert!(more >= found.memory + (60 << 20), "{found:?} {more}");
        drop(std::hint::black_box(ones));
    }

    #[test]
    fn a_gpu_has_another_number_where_not_all_are_visible() {
        let index = |index| Some(Name::Index(index));
        assert_eq!(name(None, 2), index(2));
        assert_eq!(name(Some("3"), 0), index(3));
        assert_eq!(name(Some("3, 1"), 1), index(1));
        let uuid = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6";
        assert_eq!(name(Some(&format!("0,{uuid}")), 1), Some(Name::Uuid(uuid.to_owned())));
        assert_eq!(name(Some("0"), 1), None);
        assert_eq!(name(Some("MIG-1234"), 0), None);
        assert_eq!(name(Some(""), 0), None);
    }
}
