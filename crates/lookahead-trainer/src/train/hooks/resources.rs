//! A report once a second at most: where the time went, and what this process used of the machine.

use std::time::Instant;

use lookahead_run::event::{Event, Gpu, System};
use nvml_wrapper::Nvml;
use rustix::time::{ClockId, clock_gettime};
use tch::Device;

use crate::train::hook::{Hook, HookContext};

/// Records where the time went and what was used meanwhile.
#[derive(Debug, Default)]
pub(super) struct ResourceHook {
    /// From the first step on.
    monitor: Option<ResourceMonitor>,
}

impl Hook for ResourceHook {
    fn name(&self) -> &'static str {
        "resources"
    }

    fn before_step(&mut self, context: &mut HookContext<'_>) -> anyhow::Result<()> {
        let device = context.model.vs.device();
        self.monitor.get_or_insert_with(|| ResourceMonitor::new(device));
        Ok(())
    }

    fn after_step(&mut self, context: &mut HookContext<'_>) -> anyhow::Result<()> {
        let Some(timing) = context.events.timer.report() else { return Ok(()) };
        context.record(Event::Timing(timing));
        if let Some(used) = self.monitor.as_mut().and_then(ResourceMonitor::measure) {
            context.record(Event::System(used));
        }
        Ok(())
    }
}

/// Measures what was used from one call to the next.
#[derive(Debug)]
pub struct ResourceMonitor {
    measured: Instant,
    /// Processor time of all threads until then, in seconds.
    used: f64,
    gpu: Option<(Nvml, Name)>,
}

impl ResourceMonitor {
    /// Begins now. NVML is used only for a training on a GPU.
    pub fn new(device: Device) -> Self {
        let gpu = match device {
            Device::Cuda(index) => {
                let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
                name(visible.as_deref(), index).and_then(|name| Some((Nvml::init().ok()?, name)))
            }
            _ => None,
        };
        ResourceMonitor { measured: Instant::now(), used: processor_seconds(), gpu }
    }

    /// What was used since the last call; none if the system does not provide it.
    pub fn measure(&mut self) -> Option<System> {
        let (now, used) = (Instant::now(), processor_seconds());
        let seconds = (now - self.measured).as_secs_f64().max(f64::MIN_POSITIVE);
        let cpu = (used - self.used).max(0.0) / seconds;
        (self.measured, self.used) = (now, used);
        let gpu = self.gpu.as_ref().and_then(|(nvml, name)| query(nvml, name));
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

/// How NVML identifies a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Index(u32),
    Uuid(String),
}

/// NVML's name of a CUDA device. NVML counts all GPUs of the machine in bus order; CUDA those of
/// `CUDA_VISIBLE_DEVICES`, in its order. Without that variable CUDA counts the fastest first: on a machine
/// with GPUs of several models this may be another GPU, unless `CUDA_DEVICE_ORDER=PCI_BUS_ID` is set. None for
/// a part of a GPU (MIG), and for an abbreviated UUID.
fn name(visible: Option<&str>, index: usize) -> Option<Name> {
    let Some(visible) = visible else { return Some(Name::Index(u32::try_from(index).ok()?)) };
    let word = visible.split(',').nth(index)?.trim();
    match word.parse() {
        Ok(index) => Some(Name::Index(index)),
        Err(_) if word.starts_with("GPU-") => Some(Name::Uuid(word.to_owned())),
        Err(_) => None,
    }
}

fn query(nvml: &Nvml, name: &Name) -> Option<Gpu> {
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
mod tests;
