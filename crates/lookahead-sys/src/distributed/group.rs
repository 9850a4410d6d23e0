//! A process's place among others, and what they do together.

mod presence;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cxx::UniquePtr;
use tch::{Device, Kind, Tensor};

use super::error::{Error, Result, sentence};
use super::operations::{Asked, Gathering, Reduce, bytes_of, refuse_other_orders};
use super::rendezvous::Rendezvous;
use super::store::{
    ACK_TIMEOUT, ERROR_KEY, PRESENCE_TIMEOUT, RETRY_INTERVAL, SLOW_AFTER, Shared, in_milliseconds,
    interfaces, limit_answers, peer_error, reach_store,
};
use crate::ffi::bridge;

/// A process's place among others. Alone it needs no network, and each operation is free.
///
/// Operations are collective: all ranks ask for the same ones in the same order, and each returns
/// when its outcome is there. After one has failed the others are lost, and every later one fails
/// at once.
///
/// ```
/// use lookahead_sys::distributed::{ProcessGroup, Reduce};
/// # use tch::Tensor;
///
/// let group = ProcessGroup::alone();
/// let values = Tensor::from_slice(&[1.0, 2.0]);
/// group.all_reduce(&values, Reduce::Sum)?;
/// assert_eq!(values, Tensor::from_slice(&[1.0, 2.0]));
/// # Ok::<(), lookahead_sys::distributed::Error>(())
/// ```
#[derive(Debug)]
pub struct ProcessGroup {
    rank: usize,
    size: usize,
    place: String,
    /// Of the store.
    port: u16,
    /// Whether the store ends with this process.
    hosts: bool,
    /// How often they have agreed about GPUs.
    agreed: AtomicU64,
    lost: AtomicBool,
    /// None where this process is alone.
    shared: Option<Mutex<Shared>>,
}

impl ProcessGroup {
    /// One process by itself.
    pub fn alone() -> ProcessGroup {
        ProcessGroup {
            rank: 0,
            size: 1,
            place: String::new(),
            port: 0,
            hosts: false,
            agreed: AtomicU64::new(0),
            lost: AtomicBool::new(false),
            shared: None,
        }
    }

    /// Meets the others, all of them, and waits for each no longer than the timeout, whatever answers at
    /// the address; so does every operation later on.
    ///
    /// # Errors
    /// [`Error::Join`] where the store can't be reached, [`Error::Foreign`] where another program has its
    /// port, [`Error::Absent`] where others don't come; [`Error::Address`], [`Error::Interface`],
    /// [`Error::Sizes`] and [`Error::SameRank`] where the processes were started wrongly.
    pub fn join(place: &Rendezvous, timeout: Duration) -> Result<ProcessGroup> {
        if place.size == 1 {
            return Ok(ProcessGroup::alone());
        }
        ProcessGroup::join_with(place, timeout, &mut |_| {})
    }

    /// As [`join`](Self::join); what it has to wait for is said to `tell`, if it takes more than some
    /// seconds, in a sentence.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub fn join_with(
        place: &Rendezvous,
        timeout: Duration,
        tell: &mut dyn FnMut(&str),
    ) -> Result<ProcessGroup> {
        if place.size == 1 {
            return Ok(ProcessGroup::alone());
        }
        let (rank, size) = (place.rank, place.size);
        // Where machines come up together a name may have its address only later.
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
                        tell(&format!("{refused} It is tried for {} s.", timeout.as_secs()));
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
            return Err(Error::Interface { found: interface.clone(), there: interfaces() });
        }
        let group = ProcessGroup {
            rank,
            size,
            place: place.place(),
            port: place.port,
            hosts: rank == 0 && !place.hosted,
            agreed: AtomicU64::new(0),
            lost: AtomicBool::new(false),
            shared: Some(Mutex::new(reach_store(place, timeout, tell)?)),
        };
        group.meet(&address, timeout)?;
        Ok(group)
    }

    /// This process's number, below [`size`](Self::size).
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many processes there are.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether this process is the only one.
    pub fn is_alone(&self) -> bool {
        self.shared.is_none()
    }

    /// Sets how long every later operation waits for the others.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn set_timeout(&self, timeout: Duration) -> Result<()> {
        let Some(shared) = self.shared() else { return Ok(()) };
        limit_answers(self.port, timeout);
        Ok(bridge::set_timeout(&shared.0, in_milliseconds(timeout)).map_err(crate::Error::from)?)
    }

    /// Decides how tensors on GPUs go from now on, for all ranks alike: through NCCL where each of them
    /// has it ([`has_nccl`](super::has_nccl)) and a GPU of its own, and through Gloo, by way of the CPU, where not.
    /// `device` is where this rank's tensors are.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn agree_on_gpus(&self, device: Device) -> Result<()> {
        if self.is_alone() {
            return Ok(());
        }
        let own = match device {
            Device::Cuda(index) => {
                bridge::gpu_identity(index as i32).map_err(crate::Error::from)?
            }
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
            bridge::connect_nccl(shared.0.pin_mut()).map_err(crate::Error::from)?;
        }
        Ok(())
    }

    /// Whether tensors on GPUs go through NCCL.
    pub fn uses_nccl(&self) -> bool {
        self.shared().is_some_and(|shared| bridge::uses_nccl(&shared.0))
    }

    /// Puts the sum, or the largest, of all ranks' values in the place of this rank's. To the bit the
    /// same on all ranks; on the CPU also from one time to the next with the same ranks.
    ///
    /// The tensor is dense in row-major order, and has the same shape and type on all ranks.
    ///
    /// # Errors
    /// [`Error::Operation`] where a rank does not answer; what libtorch says.
    pub fn all_reduce(&self, tensor: &Tensor, reduce: Reduce) -> Result<()> {
        refuse_other_orders(tensor)?;
        self.together("all-reduce", |asked| {
            asked.all_reduce(tensor, reduce);
            Ok(())
        })
    }

    /// Puts the values of the rank `root` in the place of this rank's. The tensor is dense in
    /// row-major order, and has the same shape and type on all ranks.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn broadcast(&self, tensor: &Tensor, root: usize) -> Result<()> {
        refuse_other_orders(tensor)?;
        self.run("broadcast", |shared| {
            // SAFETY: as in `Asked::all_reduce`.
            unsafe { bridge::broadcast(shared, tensor.as_ptr().cast(), root as i32) }
        })
    }

    /// The values of all ranks, in the order of ranks; all have as many.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn all_gather(&self, values: &[f64]) -> Result<Vec<Vec<f64>>> {
        if self.is_alone() || values.is_empty() {
            return Ok(vec![values.to_vec(); self.size]);
        }
        let gathering = Gathering::of(values, self.size)?;
        self.together("gathering of values", |asked| {
            asked.all_gather(&gathering);
            Ok(())
        })?;
        gathering.values()
    }

    /// The bytes of all ranks, in the order of ranks, on rank 0; `None` on the others. They may be of
    /// different lengths.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn gather_bytes(&self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>> {
        if self.is_alone() {
            return Ok(Some(vec![bytes.to_vec()]));
        }
        let lengths = self.lengths(bytes.len())?;
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let torch = crate::Error::from;
        let room = || Tensor::f_zeros([longest as i64], (Kind::Uint8, Device::Cpu)).map_err(torch);
        let own = room()?;
        let begin = own.f_narrow(0, 0, bytes.len() as i64).map_err(torch)?;
        crate::arithmetic::assign(&mut begin.shallow_clone(), &Tensor::from_slice(bytes))?;
        let count = if self.rank == 0 { self.size } else { 0 };
        let all = (0..count).map(|_| room()).collect::<Result<Vec<_>, _>>()?;
        self.run("gathering of bytes", |shared| {
            // SAFETY: as in `Asked::all_reduce`.
            unsafe {
                bridge::gather_to_first(shared, &crate::arithmetic::refs(&all), own.as_ptr().cast())
            }
        })?;
        let of = |(tensor, length): (&Tensor, &usize)| bytes_of(tensor, *length);
        Ok((self.rank == 0).then(|| all.iter().zip(&lengths).map(of).collect()))
    }

    /// The bytes of rank 0, on all ranks.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn broadcast_bytes(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        if self.is_alone() {
            return Ok(bytes.to_vec());
        }
        let length = self.lengths(bytes.len())?[0];
        let tensor = match self.rank {
            0 => Tensor::from_slice(bytes),
            _ => Tensor::f_zeros([length as i64], (Kind::Uint8, Device::Cpu))
                .map_err(crate::Error::from)?,
        };
        self.broadcast(&tensor, 0)?;
        Ok(bytes_of(&tensor, length))
    }

    /// How many bytes each rank has.
    fn lengths(&self, own: usize) -> Result<Vec<usize>> {
        // Exact below 2⁵³.
        let all = self.all_gather(&[own as f64])?;
        Ok(all.iter().map(|values| values[0] as usize).collect())
    }

    /// Waits until all ranks are here.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn barrier(&self) -> Result<()> {
        self.run("barrier", bridge::barrier)
    }

    /// What each rank says under a name that is used once, in the order of ranks: for what is not
    /// numbers, and seldom. It goes through the store.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn exchange(&self, name: &str, value: &[u8]) -> Result<Vec<Vec<u8>>> {
        let Some(shared) = self.shared() else { return Ok(vec![value.to_vec()]) };
        self.refuse_lost()?;
        let started = Instant::now();
        let key = |rank: usize| format!("said/{name}/{rank}");
        let keys: Vec<String> = (0..self.size).map(key).collect();
        let all: Vec<&str> = keys.iter().map(String::as_str).collect();
        let exchanged = bridge::store_set(&shared.0, all[self.rank], value).and_then(|()| {
            let timeout = Duration::from_millis(bridge::timeout_of(&shared.0));
            // Who ends meanwhile says so; the store's own wait would not hear it.
            match shared.wait_for(&all, timeout, || peer_error(&shared).is_some())? {
                true => all.iter().map(|key| bridge::store_get(&shared.0, key)).collect(),
                false => Ok(Vec::new()),
            }
        });
        let cause = match &exchanged {
            Ok(said) if said.len() == self.size => return Ok(said.clone()),
            Ok(_) => "Not all have come to it.",
            Err(cause) => cause.what(),
        };
        Err(self.failed(&shared, "exchange", started, cause))
    }

    /// Leaves the others because of an error of this process's own, and reports it to them: their error then has it.
    /// Every operation after that fails.
    pub fn leave_for(&self, why: &str) {
        if let Some(shared) = self.shared() {
            self.leave_with(&shared, why);
        }
    }

    fn leave_with(&self, shared: &Shared, why: &str) {
        if !self.lost.swap(true, Ordering::Relaxed) {
            // What came first is the cause.
            if peer_error(shared).is_none() {
                let words = format!("{} {why}", self.rank);
                let _ = bridge::store_set(&shared.0, ERROR_KEY, words.as_bytes());
            }
            bridge::disconnect(&shared.0);
            self.wait_for_peers(shared, "heard", &[], ACK_TIMEOUT);
        }
    }

    /// Leaves the others in order: rank 0, which may host the store, goes last. Every operation after
    /// that fails. Dropping the group leaves as well, without waiting for anybody.
    ///
    /// # Errors
    /// Where the others don't come to that within the timeout.
    pub fn leave(&self) -> Result<()> {
        if self.is_alone() || self.lost.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.barrier()?;
        self.lost.store(true, Ordering::Relaxed);
        // With nothing more to ask of the store, it may go.
        if let Some(shared) = self.shared() {
            self.wait_for_peers(&shared, "gone", &[], PRESENCE_TIMEOUT);
        }
        Ok(())
    }

    fn shared(&self) -> Option<MutexGuard<'_, Shared>> {
        // A panic in between leaves it as sound as an error does.
        self.shared.as_ref().map(|shared| shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn refuse_lost(&self) -> Result<()> {
        match self.lost.load(Ordering::Relaxed) {
            true => Err(Error::Lost { rank: self.rank, size: self.size }),
            false => Ok(()),
        }
    }

    fn run(
        &self,
        operation: &'static str,
        start: impl FnOnce(
            &bridge::ProcessGroup,
        ) -> std::result::Result<UniquePtr<bridge::Work>, cxx::Exception>,
    ) -> Result<()> {
        self.together(operation, |asked| {
            let work = start(asked.group);
            asked.works.push(work);
            Ok(())
        })
    }

    /// Operations that are under way at the same time: all that `ask` asks for are awaited, also where
    /// it fails or one of them does. Nothing where this process is alone.
    pub(super) fn together(
        &self,
        operation: &'static str,
        ask: impl FnOnce(&mut Asked<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(shared) = self.shared() else { return Ok(()) };
        self.refuse_lost()?;
        let started = Instant::now();
        let mut asked = Asked { group: &shared.0, works: Vec::new() };
        let outcome = ask(&mut asked);
        // Until its end others' threads write to an operation's tensors. The last first: a gathering, on
        // the CPU, reports at once that a rank is gone, which NCCL's operations may take long to see.
        let mut failed = None;
        for work in asked.works.into_iter().rev() {
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
            // What the others have asked for beyond that, this rank has not.
            (None, Err(error)) => {
                self.leave_with(&shared, &error.to_string());
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
