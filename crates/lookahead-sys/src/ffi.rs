//! The border between Rust and C++, in cxx's terms.
//!
//! C++ exceptions arrive as [`cxx::Exception`]. Tensors cross as pointers to `at::Tensor`, which
//! is what tch holds behind every `Tensor`.

#[cxx::bridge(namespace = "lookahead")]
pub(crate) mod bridge {
    /// Which of libtorch's optimizers an object is.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum OptimizerKind {
        Unknown,
        Sgd,
        Adam,
        AdamW,
        RmsProp,
    }

    /// What changes when a tensor's values or its storage are changed.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    struct Fingerprint {
        version: u32,
        storage: usize,
        offset: i64,
        dtype: i8,
    }

    /// What a parameter group's steps depend on and what may change while training.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct GroupOptions {
        learning_rate: f64,
        momentum: f64,
        weight_decay: f64,
    }

    /// A tensor that lives for the length of one call.
    struct TensorRef {
        tensor: *const Tensor,
    }

    /// A parameter's two sets of weights, for the length of one call.
    struct SyncPair {
        slow: *const Tensor,
        fast: *const Tensor,
        /// The outer optimizer's momentum buffer; null without momentum.
        velocity: *const Tensor,
        /// The mean over several processes; null for θ itself.
        mean: *const Tensor,
        alpha: f64,
    }

    /// How a sync goes, for all pairs alike.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct SyncRule {
        momentum: f64,
        nesterov: bool,
        /// Whether θ ← φ follows at once.
        restart: bool,
        /// Whether a mean is one of differences θ − φ.
        differences: bool,
        /// ATen's foreach operations also where the one-pass kernel could do it.
        foreach: bool,
    }

    /// What a parameter contributes to the adaptive slow step size.
    struct CurvatureTerm {
        slow: *const Tensor,
        fast: *const Tensor,
        /// The mean over several processes; null for the fast weights themselves.
        mean: *const Tensor,
        second_moment: *const Tensor,
        scale: f64,
    }

    /// What autocast does to one type of device in a thread.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct AutocastState {
        cuda: bool,
        enabled: bool,
        /// libtorch's number of the type that is cast to.
        dtype: i8,
    }

    /// One call of an operation of ATen's.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct RecordedOp {
        name: String,
        /// 0 where it was called from outside ATen.
        depth: u32,
    }

    /// One call of a batch normalization.
    struct BatchStatistic {
        /// Identities of the buffers that were handed over; 0 for none.
        running_mean: usize,
        running_var: usize,
        /// Whether it normalized by its input's own statistics.
        training: bool,
        /// Numbers in each channel.
        values: i64,
        /// The caller's own; null unless it was training, on 2 values or more.
        mean: *mut Tensor,
        variance: *mut Tensor,
    }

    /// Where the store of a process group is.
    #[derive(Debug, Clone)]
    struct StoreAddress {
        host: String,
        port: u16,
        /// The socket that listens for the others, where this process hosts the store; else -1.
        listener: i32,
        /// What its keys begin with.
        prefix: String,
        /// In milliseconds.
        timeout: u64,
    }

    /// Where Gloo finds this process.
    #[derive(Debug, Clone)]
    struct GlooAddress {
        name: String,
        /// Whether the name is that of a network interface, not an address.
        is_interface: bool,
        rank: i32,
        size: i32,
        /// In milliseconds.
        timeout: u64,
    }

    unsafe extern "C++" {
        include!("lookahead-sys/cpp/shim.h");

        type Tensor;
        type Optimizer;
        type ProcessGroup;
        type Work;

        unsafe fn optimizer_kind(optimizer: *const Optimizer) -> Result<OptimizerKind>;
        unsafe fn group_count(optimizer: *const Optimizer) -> usize;
        unsafe fn group_options(optimizer: *const Optimizer, group: usize) -> Result<GroupOptions>;
        unsafe fn set_group_options(
            optimizer: *mut Optimizer,
            group: usize,
            options: GroupOptions,
        ) -> Result<()>;
        unsafe fn second_moment_decay(optimizer: *const Optimizer, group: usize) -> Result<f64>;
        unsafe fn optimizer_zero_grad(optimizer: *mut Optimizer) -> Result<()>;
        unsafe fn optimizer_step(optimizer: *mut Optimizer) -> Result<()>;
        unsafe fn required_slots(optimizer: *const Optimizer) -> Result<u8>;
        unsafe fn state_step(optimizer: *const Optimizer, parameter: *const Tensor) -> Result<i64>;
        unsafe fn state_slot(
            optimizer: *const Optimizer,
            parameter: *const Tensor,
            slot: usize,
        ) -> Result<*mut Tensor>;
        unsafe fn remove_state(optimizer: *mut Optimizer, parameter: *const Tensor) -> Result<()>;
        unsafe fn create_state(
            optimizer: *mut Optimizer,
            parameter: *const Tensor,
            step: i64,
        ) -> Result<()>;
        unsafe fn set_state_slot(
            optimizer: *mut Optimizer,
            parameter: *const Tensor,
            slot: usize,
            value: *const Tensor,
        ) -> Result<()>;

        fn fused_sgd(
            lr: f64,
            momentum: f64,
            dampening: f64,
            weight_decay: f64,
            nesterov: bool,
        ) -> Result<*mut Optimizer>;
        fn fused_adam(
            lr: f64,
            beta1: f64,
            beta2: f64,
            weight_decay: f64,
            eps: f64,
            amsgrad: bool,
        ) -> Result<*mut Optimizer>;
        fn fused_adamw(
            lr: f64,
            beta1: f64,
            beta2: f64,
            weight_decay: f64,
            eps: f64,
            amsgrad: bool,
        ) -> Result<*mut Optimizer>;
        fn fused_rmsprop(
            lr: f64,
            alpha: f64,
            eps: f64,
            weight_decay: f64,
            momentum: f64,
            centered: bool,
        ) -> Result<*mut Optimizer>;

        fn sync(pairs: &[SyncPair], rule: SyncRule) -> Result<f64>;
        fn adaptive_slow_step_size(terms: &[CurvatureTerm], differences: bool) -> Result<f64>;
        fn all_finite(tensors: &[TensorRef], foreach: bool) -> Result<bool>;
        fn gradients_finite(parameters: &[TensorRef], foreach: bool) -> Result<bool>;

        fn start_recording() -> Result<()>;
        fn stop_recording() -> Vec<RecordedOp>;
        unsafe fn to_meta(tensor: *const Tensor) -> Result<*mut Tensor>;

        fn fingerprints(tensors: &[TensorRef], out: &mut [Fingerprint]) -> Result<()>;
        unsafe fn set_version(tensor: *const Tensor, version: u32) -> Result<()>;
        unsafe fn set_gradient(tensor: *const Tensor, gradient: *const Tensor) -> Result<()>;
        unsafe fn forget_gradient(tensor: *const Tensor) -> Result<()>;
        unsafe fn identity(tensor: *const Tensor) -> usize;
        unsafe fn is_inference(tensor: *const Tensor) -> bool;
        unsafe fn to_channels_last(tensor: *const Tensor) -> Result<*mut Tensor>;
        unsafe fn is_channels_last(tensor: *const Tensor) -> bool;
        unsafe fn suggests_channels_last(tensor: *const Tensor) -> bool;

        unsafe fn assign(target: *const Tensor, source: *const Tensor) -> Result<()>;
        fn clip_value(parameters: &[TensorRef], max: f64) -> Result<()>;
        unsafe fn fill(target: *const Tensor, value: f64) -> Result<()>;
        unsafe fn scale(target: *const Tensor, factor: f64) -> Result<()>;
        unsafe fn lerp(target: *const Tensor, end: *const Tensor, weight: f64) -> Result<()>;

        fn norm(tensors: &[TensorRef], from: &[TensorRef]) -> Result<f64>;
        fn clip_norm(parameters: &[TensorRef], max: f64) -> Result<f64>;

        fn start_batch_statistics() -> Result<()>;
        fn stop_batch_statistics() -> Result<Vec<BatchStatistic>>;

        fn keep_freed_memory() -> bool;
        fn redirect_cerr(write: fn(&[u8]), flush: fn());
        unsafe fn pin_memory(tensor: *const Tensor) -> Result<*mut Tensor>;
        fn normalized_images(
            pixels: &[u8],
            indices: &[usize],
            mean: &[f32],
            std: &[f32],
            plane: usize,
            out: &mut [f32],
        );
        fn begin_inference();
        fn end_inference();
        fn inference_is_on() -> bool;
        fn autocast_state(cuda: bool) -> AutocastState;
        fn begin_autocast(cuda: bool, half: bool) -> AutocastState;
        fn suspend_autocast(cuda: bool) -> AutocastState;
        fn end_autocast(before: AutocastState);

        fn join_store(address: &StoreAddress) -> Result<UniquePtr<ProcessGroup>>;
        fn store_set(group: &ProcessGroup, key: &str, value: &[u8]) -> Result<()>;
        fn store_get(group: &ProcessGroup, key: &str) -> Result<Vec<u8>>;
        fn store_has(group: &ProcessGroup, keys: &[&str]) -> Result<bool>;
        fn check_device(address: &GlooAddress) -> Result<()>;
        fn connect_gloo(group: Pin<&mut ProcessGroup>, address: &GlooAddress) -> Result<()>;
        fn set_timeout(group: &ProcessGroup, milliseconds: u64) -> Result<()>;
        fn timeout_of(group: &ProcessGroup) -> u64;
        fn disconnect(group: &ProcessGroup);
        fn leave_group(group: Pin<&mut ProcessGroup>);
        fn has_nccl() -> bool;
        fn gpu_identity(index: i32) -> Result<Vec<u8>>;
        fn connect_nccl(group: Pin<&mut ProcessGroup>) -> Result<()>;
        fn uses_nccl(group: &ProcessGroup) -> bool;
        fn abort_nccl(group: &ProcessGroup);
        unsafe fn all_reduce(
            group: &ProcessGroup,
            tensor: *const Tensor,
            largest: bool,
        ) -> Result<UniquePtr<Work>>;
        unsafe fn broadcast(
            group: &ProcessGroup,
            tensor: *const Tensor,
            root: i32,
        ) -> Result<UniquePtr<Work>>;
        unsafe fn all_gather(
            group: &ProcessGroup,
            all: *const Tensor,
            own: *const Tensor,
        ) -> Result<UniquePtr<Work>>;
        unsafe fn gather_to_first(
            group: &ProcessGroup,
            all: &[TensorRef],
            own: *const Tensor,
        ) -> Result<UniquePtr<Work>>;
        fn barrier(group: &ProcessGroup) -> Result<UniquePtr<Work>>;
        fn wait_for(work: &Work) -> Result<()>;
        fn copy_all_scaled(
            targets: &[TensorRef],
            sources: &[TensorRef],
            bases: &[TensorRef],
            scale: f64,
        ) -> Result<bool>;
        unsafe fn fills_its_memory(tensor: *const Tensor) -> bool;
        fn same_layout(some: &[TensorRef], others: &[TensorRef]) -> bool;
        fn bits_of(tensors: &[TensorRef], share: u64, shares: u64) -> Result<u64>;

        fn generator_state(cuda: bool, index: i8) -> Result<*mut Tensor>;
        unsafe fn set_generator_state(cuda: bool, index: i8, state: *const Tensor) -> Result<()>;
        fn seed_generators(seed: u64) -> Result<()>;
        fn libtorch_version() -> String;
        fn cpu_capability() -> String;
    }
}
