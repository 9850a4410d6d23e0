//! A process's rank in a group, and the collective operations.

mod presence;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cxx::UniquePtr;
use tch::{Device, Kind, Tensor};

use super::error::{Error, Result, sentence};
use super::operations::{Gathering, Pending, Reduce, bytes_of, check_row_major};
use super::rendezvous::Rendezvous;
use super::store::{
    ACK_TIMEOUT, ERROR_KEY, PRESENCE_TIMEOUT, RETRY_INTERVAL, SLOW_AFTER, Shared, in_milliseconds,
    interfaces, limit_answers, peer_error, reach_store,
};
use crate::ffi::distributed::bridge;
use crate::handle::{cpp, refs};

/// A process group, seen from one of its processes. A single process needs no network, and its operations
/// cost nothing.
///
/// Operations are collective: all ranks call the same ones in the same order, and each returns when its result
/// is available. After one has failed, all later ones fail at once.
///
/// ```
/// use lookahead_sys::distributed::{ProcessGroup, Reduce};
/// # use tch::Tensor;
///
/// let group = ProcessGroup::single();
/// let values = Tensor::from_slice(&[1.0, 2.0]);
/// group.all_reduce(&values, Reduce::Sum)?;
/// assert_eq!(values, Tensor::from_slice(&[1.0, 2.0]));
/// # Ok::<(), lookahead_sys::distributed::Error>(())
/// ```
#[derive(Debug)]
pub struct ProcessGroup {
    rank: usize,
    size: usize,
    /// MASTER_ADDR and MASTER_PORT, for messages.
    address: String,
    port: u16,
    /// Whether another program hosts the store, for example torchrun; otherwise rank 0 does.
    hosted: bool,
    /// How often the ranks have agreed on GPUs.
    agreed: AtomicU64,
    lost: AtomicBool,
    /// `None` for a single process.
    shared: Option<Mutex<Shared>>,
}

impl ProcessGroup {
    /// A group of one process.
    pub fn single() -> ProcessGroup {
        ProcessGroup {
            rank: 0,
            size: 1,
            address: String::new(),
            port: 0,
            hosted: false,
            agreed: AtomicU64::new(0),
            lost: AtomicBool::new(false),
            shared: None,
        }
    }

    /// Joins all other processes. This, and every later operation, waits for each of them at most for the
    /// timeout. If it takes more than a few seconds, `report` is called with a sentence on what it waits for.
    ///
    /// # Errors
    /// [`Error::Join`] if the store can't be reached, [`Error::Foreign`] if another program has its port,
    /// [`Error::Absent`] if other processes don't come; [`Error::Address`], [`Error::Interface`],
    /// [`Error::Sizes`] and [`Error::SameRank`] if the processes were started wrongly.
    pub fn join(
        place: &Rendezvous,
        timeout: Duration,
        report: &mut dyn FnMut(&str),
    ) -> Result<ProcessGroup> {
        if place.size == 1 {
            return Ok(ProcessGroup::single());
        }
        let (rank, size) = (place.rank, place.size);
        // While machines boot together, a name may not resolve yet.
        let (started, mut reported) = (Instant::now(), false);
        let own = loop {
            match place.own_address() {
                Ok(own) => break own,
                Err(error) => {
                    let refused = Error::Address {
                        address: place.address.clone(),
                        seconds: started.elapsed().as_secs(),
                        cause: sentence(&error.to_string()),
                    };
                    if started.elapsed() > timeout {
                        return Err(refused);
                    }
                    if started.elapsed() > SLOW_AFTER && !reported {
                        reported = true;
                        report(&format!("{refused} Retrying for {} s.", timeout.as_secs()));
                    }
                    sleep(RETRY_INTERVAL);
                }
            }
        };
        let address = bridge::GlooAddress {
            name: place.interface.clone().unwrap_or_else(|| own.to_string()),
            is_interface: place.interface.is_some(),
            rank: rank as i32,
            size: size as i32,
            timeout: in_milliseconds(timeout),
        };
        if let Some(interface) = &place.interface
            && bridge::check_device(&address).is_err()
        {
            return Err(Error::Interface { found: interface.clone(), existing: interfaces() });
        }
        let group = ProcessGroup {
            rank,
            size,
            address: place.host_and_port(),
            port: place.port,
            hosted: place.hosted,
            agreed: AtomicU64::new(0),
            lost: AtomicBool::new(false),
            shared: Some(Mutex::new(reach_store(place, timeout, report)?)),
        };
        group.meet(&address, timeout)?;
        Ok(group)
    }

    /// This process's number, below [`size`](Self::size).
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The number of processes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether this process is the only one.
    pub fn is_single(&self) -> bool {
        self.shared.is_none()
    }

    /// Sets how long every later operation waits for the other ranks.
    pub fn set_timeout(&self, timeout: Duration) -> Result<()> {
        let Some(shared) = self.shared() else { return Ok(()) };
        limit_answers(self.port, timeout);
        Ok(bridge::set_timeout(&shared.0, in_milliseconds(timeout))?)
    }

    /// Decides for all ranks how tensors on GPUs are sent from now on: through NCCL if each rank has it
    /// ([`has_nccl`](super::has_nccl)) and its own GPU, otherwise through Gloo and the CPU. `device` is where
    /// this rank's tensors are.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn agree_on_gpus(&self, device: Device) -> Result<()> {
        if self.is_single() {
            return Ok(());
        }
        let own = match device {
            Device::Cuda(index) => bridge::gpu_identity(index as i32)?,
            _ => Vec::new(),
        };
        let time = self.agreed.fetch_add(1, Ordering::Relaxed);
        let mut all = self.exchange(&format!("gpu/{time}"), &own)?;
        all.sort_unstable();
        let distinct = all.windows(2).all(|pair| pair[0] != pair[1]);
        if let Some(mut shared) = self.shared()
            && distinct
            && all.iter().all(|gpu| !gpu.is_empty())
        {
            bridge::connect_nccl(shared.0.pin_mut())?;
        }
        Ok(())
    }

    /// Whether tensors on GPUs are sent through NCCL.
    pub fn uses_nccl(&self) -> bool {
        self.shared().is_some_and(|shared| bridge::uses_nccl(&shared.0))
    }

    /// Replaces the values with the sum or maximum over all ranks: identical to the bit on all ranks and, on
    /// the CPU, reproducible with the same ranks.
    ///
    /// The tensor is dense in row-major order, and has the same shape and type on all ranks.
    ///
    /// # Errors
    /// [`Error::Operation`] if a rank does not answer, [`Error::Ended`] if one ended with its own error.
    pub fn all_reduce(&self, tensor: &Tensor, reduce: Reduce) -> Result<()> {
        check_row_major(tensor)?;
        self.run_all("all-reduce", |pending| {
            pending.all_reduce(tensor, reduce);
            Ok(())
        })
    }

    /// Replaces the values with those of rank `root`. The tensor is dense in row-major order, and has the same
    /// shape and type on all ranks.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn broadcast(&self, tensor: &Tensor, root: usize) -> Result<()> {
        check_row_major(tensor)?;
        self.run("broadcast", |shared| bridge::broadcast(shared, cpp(tensor), root as i32))
    }

    /// The values of all ranks, in rank order. Each rank gives the same number of values.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn all_gather(&self, values: &[f64]) -> Result<Vec<Vec<f64>>> {
        if self.is_single() || values.is_empty() {
            return Ok(vec![values.to_vec(); self.size]);
        }
        let gathering = Gathering::of(values, self.size)?;
        self.run_all("gathering of values", |pending| {
            pending.all_gather(&gathering);
            Ok(())
        })?;
        gathering.values()
    }

    /// The bytes of all ranks, in rank order, on rank 0; `None` on the others. Lengths may differ.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn gather_bytes(&self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>> {
        if self.is_single() {
            return Ok(Some(vec![bytes.to_vec()]));
        }
        let lengths = self.lengths(bytes.len())?;
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let room = || Tensor::f_zeros([longest as i64], (Kind::Uint8, Device::Cpu));
        let own = room()?;
        let mut begin = own.f_narrow(0, 0, bytes.len() as i64)?;
        crate::arithmetic::assign(&mut begin, &Tensor::from_slice(bytes))?;
        let count = if self.rank == 0 { self.size } else { 0 };
        let all = (0..count).map(|_| room()).collect::<Result<Vec<_>, _>>()?;
        self.run("gathering of bytes", |shared| {
            bridge::gather_to_first(shared, &refs(&all), cpp(&own))
        })?;
        let of = |(tensor, length): (&Tensor, &usize)| bytes_of(tensor, *length);
        Ok((self.rank == 0).then(|| all.iter().zip(&lengths).map(of).collect()))
    }

    /// The bytes of rank 0, on all ranks.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn broadcast_bytes(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        if self.is_single() {
            return Ok(bytes.to_vec());
        }
        let length = self.lengths(bytes.len())?[0];
        let tensor = match self.rank {
            0 => Tensor::from_slice(bytes),
            _ => Tensor::f_zeros([length as i64], (Kind::Uint8, Device::Cpu))?,
        };
        self.broadcast(&tensor, 0)?;
        Ok(bytes_of(&tensor, length))
    }

    fn lengths(&self, own: usize) -> Result<Vec<usize>> {
        // Exact below 2⁵³.
        let all = self.all_gather(&[own as f64])?;
        Ok(all.iter().map(|values| values[0] as usize).collect())
    }

    /// Waits until all ranks have called it.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn barrier(&self) -> Result<()> {
        self.run("barrier", bridge::barrier)
    }

    /// The bytes that each rank gives under `name`, in rank order, through the store: for rare exchanges. Use
    /// each name once.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn exchange(&self, name: &str, value: &[u8]) -> Result<Vec<Vec<u8>>> {
        let Some(shared) = self.shared() else { return Ok(vec![value.to_vec()]) };
        self.refuse_lost()?;
        let started = Instant::now();
        let key = |rank: usize| format!("exchange/{name}/{rank}");
        let keys: Vec<String> = (0..self.size).map(key).collect();
        let all: Vec<&str> = keys.iter().map(String::as_str).collect();
        let exchanged = bridge::store_set(&shared.0, all[self.rank], value).and_then(|()| {
            let timeout = Duration::from_millis(bridge::timeout_of(&shared.0));
            // The store's own wait would not notice a rank that ends meanwhile.
            if shared.wait_for(&all, timeout, || peer_error(&shared).is_some())? {
                all.iter().map(|key| bridge::store_get(&shared.0, key)).collect()
            } else {
                Ok(Vec::new())
            }
        });
        let cause = match &exchanged {
            Ok(values) if values.len() == self.size => return Ok(values.clone()),
            Ok(_) => "Not all ranks reached it.",
            Err(cause) => cause.what(),
        };
        Err(self.failed(&shared, "exchange", started, cause))
    }

    /// Leaves the group because of this process's own error, and reports the error to the other ranks, whose
    /// own errors then contain it. Every later operation fails.
    pub fn abort(&self, error: &str) {
        if let Some(shared) = self.shared() {
            self.abort_with(&shared, error);
        }
    }

    fn abort_with(&self, shared: &Shared, error: &str) {
        if !self.lost.swap(true, Ordering::Relaxed) {
            // The first error is the cause of the others.
            if peer_error(shared).is_none() {
                let words = format!("{} {error}", self.rank);
                let _ = bridge::store_set(&shared.0, ERROR_KEY, words.as_bytes());
            }
            bridge::disconnect(&shared.0);
            self.wait_for_peers(shared, "ended", &[], ACK_TIMEOUT);
        }
    }

    /// Leaves the group in order: rank 0, which may host the store, goes last. Every later operation fails.
    /// Dropping the group leaves too, without waiting.
    ///
    /// # Errors
    /// If the other ranks don't call it within the timeout.
    pub fn leave(&self) -> Result<()> {
        if self.is_single() || self.lost.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.barrier()?;
        self.lost.store(true, Ordering::Relaxed);
        // The store may go once no rank needs it.
        if let Some(shared) = self.shared() {
            self.wait_for_peers(&shared, "left", &[], PRESENCE_TIMEOUT);
        }
        Ok(())
    }

    fn shared(&self) -> Option<MutexGuard<'_, Shared>> {
        // A panic leaves it in the same state as an error.
        self.shared.as_ref().map(|shared| shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn refuse_lost(&self) -> Result<()> {
        if self.lost.load(Ordering::Relaxed) {
            return Err(Error::Lost { rank: self.rank, size: self.size });
        }
        Ok(())
    }

    fn run(
        &self,
        operation: &'static str,
        start: impl FnOnce(
            &bridge::ProcessGroup,
        ) -> std::result::Result<UniquePtr<bridge::Work>, cxx::Exception>,
    ) -> Result<()> {
        self.run_all(operation, |pending| {
            pending.works.push(start(pending.group));
            Ok(())
        })
    }

    /// Runs operations at the same time: awaits all that `start` started, even if it or one of them fails.
    /// Does nothing for a single process.
    pub(super) fn run_all(
        &self,
        operation: &'static str,
        start: impl FnOnce(&mut Pending<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(shared) = self.shared() else { return Ok(()) };
        self.refuse_lost()?;
        let started = Instant::now();
        let mut pending = Pending { group: &shared.0, works: Vec::new() };
        let outcome = start(&mut pending);
        // Other threads write to an operation's tensors until it ends. The last is first, because a gathering
        // on the CPU reports a lost rank at once, which NCCL's operations may take long to notice.
        let mut failed = None;
        for work in pending.works.into_iter().rev() {
            let waited = work.and_then(|work| bridge::wait_for(&work));
            if let Err(cause) = waited
                && failed.is_none()
            {
                bridge::abort_nccl(&shared.0);
                failed = Some(cause);
            }
        }
        match (failed, &outcome) {
            (Some(cause), _) => Err(self.failed(&shared, operation, started, cause.what())),
            (None, Ok(())) => outcome,
            // The other ranks may have started operations that this one has not.
            (None, Err(error)) => {
                self.abort_with(&shared, &error.to_string());
                outcome
            }
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(shared) = &mut self.shared {
            let shared = shared.get_mut().unwrap_or_else(PoisonError::into_inner);
            bridge::leave_group(shared.0.pin_mut());
        }
    }
}
