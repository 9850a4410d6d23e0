//! A process's place among others, and what they do together.

use std::mem::ManuallyDrop;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{FromRawFd, IntoRawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cxx::UniquePtr;
use tch::{Device, Kind, Tensor};

use super::error::{Error, Result, ranks, sentence};
use super::rendezvous::Rendezvous;
use crate::ffi::bridge;

/// What becomes of the values of all ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduce {
    /// Their sum.
    Sum,
    /// The largest of them.
    Largest,
}

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
    inside: Option<Mutex<Inside>>,
}

struct Inside(UniquePtr<bridge::ProcessGroup>);

// SAFETY: neither c10d's store nor its backends are bound to the thread that made it; Gloo's own
// threads take what is queued there. That one thread at a time asks is the mutex's part.
unsafe impl Send for Inside {}

impl std::fmt::Debug for Inside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inside")
    }
}

/// How long who has lost the others waits for these to say that they are there: then it can tell who
/// is not.
const ROLL_CALL: Duration = Duration::from_secs(5);
/// How long the store stays for others to hear why a rank ended: they do where they meet next.
const HEARD: Duration = Duration::from_secs(30);
/// The key of the rank that ended by an error of its own, and of its words.
const LAST_WORDS: &str = "why";
/// From one question for a machine's address to the next.
const AGAIN: Duration = Duration::from_millis(200);
/// How long a process waits for MASTER_ADDR and the store before it says so.
const SOON: Duration = Duration::from_secs(5);
/// How long one attempt to reach the store takes. Between two, a look at the port says whether another
/// program is there, or no store yet.
const ATTEMPT: Duration = Duration::from_secs(5);
/// The key of the number of ranks that rank 0 was started with.
const SIZE: &str = "size";
/// From one look into the store to the next.
const MOMENT: Duration = Duration::from_millis(5);

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
            inside: None,
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
        let (started, mut told) = (Instant::now(), false);
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
                    if started.elapsed() > SOON && !told {
                        told = true;
                        tell(&format!("{refused} It is tried for {} s.", timeout.as_secs()));
                    }
                    sleep(AGAIN);
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
            inside: Some(Mutex::new(reach_store(place, timeout, tell)?)),
        };
        group.meet(&address, timeout)?;
        Ok(group)
    }

    /// Waits for the others at the store, and connects to them.
    fn meet(&self, address: &bridge::GlooAddress, timeout: Duration) -> Result<()> {
        let Some(mut inside) = self.inside() else { return Ok(()) };
        let (rank, size) = (self.rank, self.size);
        let refused = |cause: &str| Error::Join {
            rank,
            size,
            address: self.place.clone(),
            seconds: timeout.as_secs(),
            cause: sentence(cause),
        };
        let store = |error: cxx::Exception| refused(error.what());
        self.agree_on_the_size(&inside, timeout, &refused)?;
        if bridge::store_has(&inside.0, &[&format!("joined/{rank}")]).map_err(store)? {
            return Err(Error::SameRank { rank, address: self.place.clone() });
        }
        let absent = |missing| match missing {
            Missing::Ranks(missing) => Error::Absent {
                rank,
                size,
                address: self.place.clone(),
                seconds: timeout.as_secs(),
                pronoun: if missing.len() == 1 { "it" } else { "them" },
                missing: ranks(&missing),
            },
            Missing::Ended(who, words) => Error::Ended { rank, size, who, words },
            Missing::Store(cause) => refused(&cause),
        };
        self.await_all(&inside, "joined", timeout).map_err(absent)?;
        bridge::connect_gloo(inside.0.pin_mut(), address).map_err(store)
    }

    /// All must have been started with rank 0's WORLD_SIZE.
    fn agree_on_the_size(
        &self,
        inside: &Inside,
        timeout: Duration,
        refused: &impl Fn(&str) -> Error,
    ) -> Result<()> {
        let store = |error: cxx::Exception| refused(error.what());
        let (rank, size) = (self.rank, self.size);
        if rank == 0 {
            return bridge::store_set(&inside.0, SIZE, size.to_string().as_bytes()).map_err(store);
        }
        if !inside.wait_for(&[SIZE], timeout, || false).map_err(store)? {
            return Err(refused("Rank 0 did not come."));
        }
        let said = bridge::store_get(&inside.0, SIZE).map_err(store)?;
        let of_rank_0 = String::from_utf8_lossy(&said).into_owned();
        if of_rank_0 == size.to_string() {
            return Ok(());
        }
        let error = Error::Sizes { rank, size, of_rank_0 };
        // Of those that rank 0 does not expect it need not hear.
        if said.len() < 20 && rank < String::from_utf8_lossy(&said).parse().unwrap_or(0) {
            self.leave_with(inside, &error.to_string());
        }
        Err(error)
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
        self.inside.is_none()
    }

    /// Sets how long every later operation waits for the others.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn set_timeout(&self, timeout: Duration) -> Result<()> {
        let Some(inside) = self.inside() else { return Ok(()) };
        limit_answers(self.port, timeout);
        Ok(bridge::set_timeout(&inside.0, in_milliseconds(timeout)).map_err(crate::Error::from)?)
    }

    /// Decides how tensors on GPUs go from now on, for all ranks alike: through NCCL where each of them
    /// has it ([`has_nccl`]) and a GPU of its own, and through Gloo, by way of the CPU, where not.
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
        if let Some(mut inside) = self.inside()
            && distinct
            && all.iter().all(|gpu| !gpu.is_empty())
        {
            bridge::connect_nccl(inside.0.pin_mut()).map_err(crate::Error::from)?;
        }
        Ok(())
    }

    /// Whether tensors on GPUs go through NCCL.
    pub fn uses_nccl(&self) -> bool {
        self.inside().is_some_and(|inside| bridge::uses_nccl(&inside.0))
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
        self.run("broadcast", |inside| {
            // SAFETY: as in `Asked::all_reduce`.
            unsafe { bridge::broadcast(inside, tensor.as_ptr().cast(), root as i32) }
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
        self.run("gathering of bytes", |inside| {
            // SAFETY: as in `Asked::all_reduce`.
            unsafe {
                bridge::gather_to_first(inside, &crate::arithmetic::refs(&all), own.as_ptr().cast())
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
        let Some(inside) = self.inside() else { return Ok(vec![value.to_vec()]) };
        self.refuse_lost()?;
        let started = Instant::now();
        let key = |rank: usize| format!("said/{name}/{rank}");
        let keys: Vec<String> = (0..self.size).map(key).collect();
        let all: Vec<&str> = keys.iter().map(String::as_str).collect();
        let exchanged = bridge::store_set(&inside.0, all[self.rank], value).and_then(|()| {
            let timeout = Duration::from_millis(bridge::timeout_of(&inside.0));
            // Who ends meanwhile says so; the store's own wait would not hear it.
            match inside.wait_for(&all, timeout, || last_words(&inside).is_some())? {
                true => all.iter().map(|key| bridge::store_get(&inside.0, key)).collect(),
                false => Ok(Vec::new()),
            }
        });
        let cause = match &exchanged {
            Ok(said) if said.len() == self.size => return Ok(said.clone()),
            Ok(_) => "Not all have come to it.",
            Err(cause) => cause.what(),
        };
        Err(self.failed(&inside, "exchange", started, cause))
    }

    /// Leaves the others because of an error of this process's own, and tells them: theirs then has it.
    /// Every operation after that fails.
    pub fn leave_for(&self, why: &str) {
        if let Some(inside) = self.inside() {
            self.leave_with(&inside, why);
        }
    }

    fn leave_with(&self, inside: &Inside, why: &str) {
        if !self.lost.swap(true, Ordering::Relaxed) {
            // What came first is the cause.
            if last_words(inside).is_none() {
                let words = format!("{} {why}", self.rank);
                let _ = bridge::store_set(&inside.0, LAST_WORDS, words.as_bytes());
            }
            bridge::disconnect(&inside.0);
            self.linger(inside, "heard", &[], HEARD);
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
        if let Some(inside) = self.inside() {
            self.linger(&inside, "gone", &[], ROLL_CALL);
        }
        Ok(())
    }

    /// Others may still be about to look what there is in the store: who hosts it waits for their word
    /// that they have, of all ranks but these, and at most so long. The others give it.
    fn linger(&self, inside: &Inside, what: &str, but: &[usize], most: Duration) {
        let key = |rank: usize| format!("{what}/{rank}/told");
        if !self.hosts {
            let _ = bridge::store_set(&inside.0, &key(self.rank), &[1]);
            return;
        }
        let told: Vec<String> =
            (1..self.size).filter(|rank| !but.contains(rank)).map(key).collect();
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        let _ = inside.wait_for(&told, most, || false);
    }

    fn inside(&self) -> Option<MutexGuard<'_, Inside>> {
        // A panic in between leaves it as sound as an error does.
        self.inside.as_ref().map(|inside| inside.lock().unwrap_or_else(PoisonError::into_inner))
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
        let Some(inside) = self.inside() else { return Ok(()) };
        self.refuse_lost()?;
        let started = Instant::now();
        let mut asked = Asked { group: &inside.0, works: Vec::new() };
        let outcome = ask(&mut asked);
        // Until its end others' threads write to an operation's tensors. The last first: a gathering, on
        // the CPU, tells at once that a rank is gone, which NCCL's operations may take long to see.
        let mut failed = None;
        for work in asked.works.into_iter().rev() {
            let waited = work.and_then(|work| bridge::wait_for(&work));
            if let Err(cause) = waited
                && failed.is_none()
            {
                bridge::abort_nccl(&inside.0);
                failed = Some(cause);
            }
        }
        match (failed, &outcome) {
            (Some(cause), _) => Err(self.failed(&inside, operation, started, cause.what())),
            (None, Ok(())) => outcome,
            // What the others have asked for beyond that, this rank has not.
            (None, Err(error)) => {
                self.leave_with(&inside, &error.to_string());
                outcome
            }
        }
    }

    /// The error of an operation that failed, with who does not answer any more.
    fn failed(
        &self,
        inside: &Inside,
        operation: &'static str,
        started: Instant,
        cause: &str,
    ) -> Error {
        self.lost.store(true, Ordering::Relaxed);
        // Who waits for this rank, and not for the one that is gone, need not do so until its timeout.
        bridge::disconnect(&inside.0);
        let seconds = started.elapsed().into();
        let (rank, size) = (self.rank, self.size);
        if let Some((who, words)) = last_words(inside) {
            self.linger(inside, "heard", &[], HEARD);
            return Error::Ended { rank, size, who, words };
        }
        let who = match self.await_all(inside, "lost", ROLL_CALL) {
            Ok(()) => "All ranks still answer, and so it is the network, or not all came to the \
                       operation in time."
                .to_owned(),
            Err(Missing::Ranks(missing)) => {
                let s = if missing.len() == 1 { "does" } else { "do" };
                format!("{} {s} not answer.", ranks(&missing))
            }
            Err(Missing::Ended(who, words)) => format!("Rank {who} ended: {words}"),
            Err(Missing::Store(_)) => {
                format!("The store at {} does not answer.", self.place)
            }
        };
        Error::Operation { operation, rank, size, seconds, who, cause: sentence(cause) }
    }

    /// Says that this rank has come to something, and waits until all have.
    fn await_all(&self, inside: &Inside, what: &str, timeout: Duration) -> Result<(), Missing> {
        let store = |error: cxx::Exception| Missing::Store(error.what().to_owned());
        let keys: Vec<String> = (0..self.size).map(|rank| format!("{what}/{rank}")).collect();
        let all: Vec<&str> = keys.iter().map(String::as_str).collect();
        bridge::store_set(&inside.0, all[self.rank], &[1]).map_err(store)?;
        // Who ended before says why.
        if inside.wait_for(&all, timeout, || last_words(inside).is_some()).map_err(store)? {
            return Ok(());
        }
        if let Some((who, words)) = last_words(inside) {
            self.linger(inside, "heard", &[], ROLL_CALL);
            return Err(Missing::Ended(who, words));
        }
        let mut missing = Vec::new();
        for (rank, key) in all.iter().enumerate() {
            if !bridge::store_has(&inside.0, &[key]).map_err(store)? {
                missing.push(rank);
            }
        }
        self.linger(inside, what, &missing, ROLL_CALL);
        if missing.is_empty() { Ok(()) } else { Err(Missing::Ranks(missing)) }
    }
}

impl Inside {
    /// Whether all the keys come into the store within that time, and before there is reason to give up.
    fn wait_for(
        &self,
        keys: &[&str],
        most: Duration,
        give_up: impl Fn() -> bool,
    ) -> Result<bool, cxx::Exception> {
        let started = Instant::now();
        loop {
            if bridge::store_has(&self.0, keys)? {
                return Ok(true);
            }
            if started.elapsed() > most || give_up() {
                return Ok(false);
            }
            sleep(MOMENT);
        }
    }
}

/// What has been asked for and is under way.
pub(super) struct Asked<'a> {
    group: &'a bridge::ProcessGroup,
    works: Vec<std::result::Result<UniquePtr<bridge::Work>, cxx::Exception>>,
}

impl Asked<'_> {
    /// Of a tensor in row-major order.
    pub(super) fn all_reduce(&mut self, tensor: &Tensor, reduce: Reduce) {
        let largest = reduce == Reduce::Largest;
        // SAFETY: the pointer is a live at::Tensor for the length of the call, which makes a handle
        // of its own.
        let work = unsafe { bridge::all_reduce(self.group, tensor.as_ptr().cast(), largest) };
        self.works.push(work);
    }

    pub(super) fn all_gather(&mut self, gathering: &Gathering) {
        let Gathering { own, all } = gathering;
        // SAFETY: as in `all_reduce`.
        let work =
            unsafe { bridge::all_gather(self.group, all.as_ptr().cast(), own.as_ptr().cast()) };
        self.works.push(work);
    }
}

/// Few values of each rank, and room for those of all.
pub(super) struct Gathering {
    own: Tensor,
    all: Tensor,
}

impl Gathering {
    pub(super) fn of(values: &[f64], ranks: usize) -> Result<Self> {
        let count = (ranks * values.len()) as i64;
        let all = Tensor::f_zeros([count], (Kind::Double, Device::Cpu));
        Ok(Gathering { own: Tensor::from_slice(values), all: all.map_err(crate::Error::from)? })
    }

    /// In the order of ranks, when they are there.
    pub(super) fn values(self) -> Result<Vec<Vec<f64>>> {
        let count = self.own.numel();
        let all = Vec::<f64>::try_from(self.all).map_err(crate::Error::from)?;
        Ok(all.chunks(count).map(<[f64]>::to_vec).collect())
    }
}

/// Whether tensors on GPUs can go from one process to the others through NCCL: where libtorch has CUDA,
/// and the headers of CUDA and of its NCCL were there when this was built.
pub fn has_nccl() -> bool {
    bridge::has_nccl()
}

fn bytes_of(tensor: &Tensor, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    tensor.copy_data_u8(&mut bytes, length);
    bytes
}

/// Why not all ranks have come to something.
enum Missing {
    /// These have not.
    Ranks(Vec<usize>),
    /// This one ended by an error of its own, and its words.
    Ended(usize, String),
    /// The store can't be asked, and what it said.
    Store(String),
}

/// Does something that may wait for ever on a thread of its own, and gives up after that time.
fn within<T: Send + 'static>(most: Duration, f: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, outcome) = mpsc::channel();
    std::thread::spawn(move || done.send(f()));
    outcome.recv_timeout(most).ok()
}

/// Lets a question to the store end after that time: c10d itself would wait for ever where the process
/// that hosts it is frozen, and keeps its socket to itself.
fn limit_answers(port: u16, most: Duration) {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers: Vec<i32> =
        open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers {
        // SAFETY: it is only looked at, and not closed; of what is no such socket the system says so.
        let socket = ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(number) });
        if socket.peer_addr().is_ok_and(|peer| peer.port() == port) {
            let _ = socket.set_read_timeout(Some(most));
        }
    }
}

/// Hosts the store, or connects to it once it is there.
fn reach_store(
    place: &Rendezvous,
    timeout: Duration,
    tell: &mut dyn FnMut(&str),
) -> Result<Inside> {
    let listener = place.listen().map_err(|error| Error::Listen {
        address: place.place(),
        cause: sentence(&error.to_string()),
    })?;
    let hosts = listener.is_some();
    let mut address = bridge::StoreAddress {
        host: place.address.clone(),
        port: place.port,
        listener: listener.map_or(-1, TcpListener::into_raw_fd),
        prefix: place.prefix(),
        timeout: in_milliseconds(timeout),
    };
    let foreign =
        |what| Error::Foreign { rank: place.rank, size: place.size, address: place.place(), what };
    let (started, mut told) = (Instant::now(), false);
    let mut last: Option<String> = None;
    loop {
        let left = timeout.saturating_sub(started.elapsed());
        if !hosts {
            // c10d may take twice as long.
            address.timeout = in_milliseconds((left / 3).clamp(AGAIN, ATTEMPT));
        }
        let asked = address.clone();
        let joined = within(left + SOON, move || bridge::join_store(&asked).map(Inside));
        let cause = match joined {
            Some(Ok(inside)) => {
                let set = bridge::set_timeout(&inside.0, in_milliseconds(timeout));
                set.map_err(|error| not_joined(place, timeout, error.what()))?;
                limit_answers(place.port, timeout);
                return Ok(inside);
            }
            Some(Err(error)) if error.what().contains("Ping failed") => {
                return Err(foreign("does not answer as a store does"));
            }
            Some(Err(error)) => error.what().to_owned(),
            None => match last {
                Some(cause) => return Err(not_joined(place, timeout, &cause)),
                None => return Err(foreign("takes connections and says nothing")),
            },
        };
        if hosts || started.elapsed() + AGAIN > timeout {
            return Err(not_joined(place, timeout, &cause));
        }
        if started.elapsed() > SOON && !told {
            told = true;
            tell(&format!(
                "Rank {} of {} waits for rank 0 at {}, for {} s: {}",
                place.rank,
                place.size,
                place.place(),
                timeout.as_secs(),
                sentence(&cause)
            ));
        }
        last = Some(cause);
        sleep(AGAIN);
    }
}

fn not_joined(place: &Rendezvous, timeout: Duration, cause: &str) -> Error {
    Error::Join {
        rank: place.rank,
        size: place.size,
        address: place.place(),
        seconds: timeout.as_secs(),
        cause: sentence(cause),
    }
}

/// The names of this machine's network interfaces, for people.
fn interfaces() -> String {
    let all = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let mut names: Vec<String> =
        all.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names.join(", ")
}

/// The rank that ended by an error of its own, the first one, and its words.
fn last_words(inside: &Inside) -> Option<(usize, String)> {
    if !bridge::store_has(&inside.0, &[LAST_WORDS]).ok()? {
        return None;
    }
    let said = String::from_utf8(bridge::store_get(&inside.0, LAST_WORDS).ok()?).ok()?;
    let (rank, words) = said.split_once(' ')?;
    Some((rank.parse().ok()?, words.to_owned()))
}

/// For c10d, which counts in milliseconds: at most some decades.
fn in_milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).min(1 << 40)
}

/// What is sent is the memory as it lies there.
fn refuse_other_orders(tensor: &Tensor) -> Result<()> {
    match tensor.is_contiguous() {
        true => Ok(()),
        false => Err(crate::Error(format!(
            "A tensor of the shape {:?} does not lie in row-major order, as what is sent to other \
             processes must: send `contiguous()` of it.",
            tensor.size()
        ))
        .into()),
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(inside) = &mut self.inside {
            let inside = inside.get_mut().unwrap_or_else(PoisonError::into_inner);
            bridge::leave_group(inside.0.pin_mut());
        }
    }
}
