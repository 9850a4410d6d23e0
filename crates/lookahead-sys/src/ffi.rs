//! The border between Rust and C++, in cxx's terms.
//!
//! C++ exceptions arrive as [`cxx::Exception`]. A tensor crosses as `&Tensor`, the `at::Tensor` that tch
//! holds behind each of its own; inside structs as a pointer that is valid for one call.
//!
//! What a feature of this crate adds has a border of its own in `ffi/`.

#[cfg(feature = "distributed")]
pub(crate) mod distributed;
#[cfg(feature = "images")]
pub(crate) mod images;
#[cfg(feature = "torchscript")]
pub(crate) mod torchscript;

#[cxx::bridge(namespace = "lookahead")]
pub(crate) mod bridge {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum OptimizerKind {
        Unknown,
        Sgd,
        Adam,
        AdamW,
        RmsProp,
    }

    /// What changes when a tensor's values or storage change. In-place operations move the version;
    /// `set_data`, a cast and a move to another device replace storage, offset or type.
    ///
    /// A write through a second tensor on the same storage, made by `Tensor::data`, has its own version
    /// counter and goes unseen.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    struct Fingerprint {
        /// The version counter.
        version: u32,
        /// The address of the storage.
        storage: usize,
        /// Where the tensor begins in it.
        offset: i64,
        /// libtorch's number of the element type.
        dtype: i8,
    }

    /// The options of a parameter group that may change during training.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct GroupOptions {
        /// The learning rate.
        learning_rate: f64,
        /// The momentum: β₁ for Adam and AdamW.
        momentum: f64,
        /// The weight decay.
        weight_decay: f64,
    }

    struct TensorRef {
        tensor: *const Tensor,
    }

    struct MuonPart {
        weights: *const Tensor,
        gradient: *const Tensor,
        momentum: *const Tensor,
        learning_rate: f64,
        weight_decay: f64,
    }

    /// What holds for all matrices of a step of Muon.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct MuonRule {
        /// The momentum μ.
        momentum: f64,
        /// Nesterov's form of the momentum.
        nesterov: bool,
        /// The first of the coefficients of the iteration.
        a: f64,
        /// The second.
        b: f64,
        /// The third.
        c: f64,
        /// The steps of the iteration.
        steps: u32,
        /// The least norm to divide by.
        eps: f64,
        /// Whether the iteration computes in the weights' own type, f32 at least, instead of bfloat16.
        full_precision: bool,
        /// Whether the learning rate is scaled to the size of AdamW's updates.
        match_rms: bool,
    }

    struct SyncPair {
        slow: *const Tensor,
        fast: *const Tensor,
        /// The outer optimizer's momentum buffer, or null.
        velocity: *const Tensor,
        /// The mean over several processes; null for θ itself.
        mean: *const Tensor,
        alpha: f64,
    }

    /// What holds for all pairs of a sync.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct SyncRule {
        /// The outer optimizer's momentum μ, for pairs with a velocity.
        momentum: f64,
        /// Nesterov's form of the momentum.
        nesterov: bool,
        /// Whether α multiplies the difference before it enters the velocity, and not the step.
        alpha_inside: bool,
        /// Whether θ ← φ follows at once. It must not if tensors of one call share memory: the first
        /// would change what the second has yet to read.
        restart: bool,
        /// Whether the means are those of differences θ − φ.
        differences: bool,
        /// Use ATen's foreach operations even where the one-pass kernel applies.
        foreach: bool,
    }

    /// A parameter of an average: see the module `average`.
    enum AverageRule {
        Primal,
        Nesterov,
        Mean,
    }

    struct AveragedTensor {
        mean: *const Tensor,
        point: *const Tensor,
        model: *const Tensor,
        weight: f64,
        ahead: f64,
    }

    struct CurvatureTerm {
        slow: *const Tensor,
        fast: *const Tensor,
        /// The mean over several processes; null for θ itself.
        mean: *const Tensor,
        second_moment: *const Tensor,
        scale: f64,
    }

    /// What the step of a parameter by Adagrad depends on besides its tensors.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct AdagradNumbers {
        /// The learning rate of this step.
        rate: f64,
        /// λ, added to the gradient as λθ.
        l2: f64,
        /// What is added to the sum of squares in this step.
        initial: f64,
        /// What is added to the denominator.
        eps: f64,
    }

    /// What the step of a parameter by Adan depends on besides its tensors.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct AdanNumbers {
        /// The decay of the mean gradient.
        beta1: f64,
        /// The decay of the mean difference of gradients, and that difference's share.
        beta2: f64,
        /// The decay of the mean square.
        beta3: f64,
        /// The step size along the mean gradient.
        along_mean: f64,
        /// The step size along the mean difference.
        along_diff: f64,
        /// The divisor of the root of the mean square.
        root3: f64,
        /// What is added to the denominator.
        eps: f64,
        /// The factor of the weights before the step.
        before: f64,
        /// Their divisor after it.
        after: f64,
        /// Whether there is no previous gradient.
        fresh: bool,
    }

    /// What the step of a parameter by cautious Adam depends on besides its tensors.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct CAdamNumbers {
        /// The decay of the mean gradient.
        beta1: f64,
        /// The decay of the mean square.
        beta2: f64,
        /// The step size along the mean gradient.
        rate: f64,
        /// The divisor of the mean square.
        correction2: f64,
        /// What is added to the denominator.
        eps: f64,
        /// λ, added to the gradient as λθ.
        l2: f64,
        /// The factor of the weights before the step.
        keep: f64,
    }

    /// What the step of a parameter by Lion depends on besides its tensors.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct LionNumbers {
        /// The decay of the mean in the step's direction.
        beta1: f64,
        /// The decay of the mean that is kept.
        beta2: f64,
        /// The size of the step.
        learning_rate: f64,
        /// The factor of the weights before the step.
        keep: f64,
        /// Whether elements that the gradient opposes stay.
        cautious: bool,
    }

    /// What the step of a parameter by NAdam depends on besides its tensors.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct NAdamNumbers {
        /// The decay of the mean gradient.
        beta1: f64,
        /// The decay of the mean square.
        beta2: f64,
        /// The step size along the gradient.
        along_gradient: f64,
        /// The step size along the mean gradient.
        along_mean: f64,
        /// The divisor of the mean square.
        correction2: f64,
        /// What is added to the denominator.
        eps: f64,
        /// λ, added to the gradient as λθ.
        l2: f64,
        /// The factor of the weights before the step.
        keep: f64,
    }

    /// What the step of a parameter by RAdam depends on besides its tensors.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct RAdamNumbers {
        /// The decay of the mean gradient.
        beta1: f64,
        /// The decay of the mean square.
        beta2: f64,
        /// The step size along the mean gradient.
        rate: f64,
        /// Whether the root of the mean square divides the step.
        rectified: bool,
        /// What is added to that denominator.
        eps: f64,
        /// λ, added to the gradient as λθ.
        l2: f64,
        /// The factor of the weights before the step.
        keep: f64,
    }

    /// The autocast mode of this thread for one type of device.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct AutocastState {
        cuda: bool,
        enabled: bool,
        /// libtorch's number of the type that it casts to.
        dtype: i8,
    }

    /// A call of one of ATen's operations.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct RecordedOp {
        /// Its name, for example `aten::_foreach_lerp_`.
        name: String,
        /// 0 for calls from outside ATen, more inside other operations.
        depth: u32,
    }

    struct BatchStatistic {
        running_mean: usize,
        running_var: usize,
        training: bool,
        values: i64,
        /// Null outside training and below 2 values.
        mean: UniquePtr<Tensor>,
        variance: UniquePtr<Tensor>,
    }

    unsafe extern "C++" {
        include!("lookahead-sys/cpp/shim.h");

        type Tensor;
        type Optimizer;

        fn optimizer_kind(optimizer: &Optimizer) -> OptimizerKind;
        fn group_count(optimizer: &Optimizer) -> usize;
        fn add_groups(optimizer: Pin<&mut Optimizer>, count: usize) -> Result<()>;
        fn group_options(optimizer: &Optimizer, group: usize) -> Result<GroupOptions>;
        fn set_group_options(
            optimizer: Pin<&mut Optimizer>,
            group: usize,
            options: GroupOptions,
        ) -> Result<()>;
        fn second_moment_decay(optimizer: &Optimizer, group: usize) -> Result<f64>;
        fn optimizer_zero_grad(optimizer: Pin<&mut Optimizer>) -> Result<()>;
        fn optimizer_step(optimizer: Pin<&mut Optimizer>) -> Result<()>;
        fn optimizer_step_and_look(optimizer: Pin<&mut Optimizer>) -> Result<i8>;
        fn required_slots(optimizer: &Optimizer) -> Result<u8>;
        fn state_step(optimizer: &Optimizer, parameter: &Tensor) -> i64;
        fn state_slot(
            optimizer: &Optimizer,
            parameter: &Tensor,
            slot: usize,
        ) -> Result<UniquePtr<Tensor>>;
        fn remove_state(optimizer: Pin<&mut Optimizer>, parameter: &Tensor);
        fn create_state(
            optimizer: Pin<&mut Optimizer>,
            parameter: &Tensor,
            step: i64,
        ) -> Result<()>;
        fn set_state_slot(
            optimizer: Pin<&mut Optimizer>,
            parameter: &Tensor,
            slot: usize,
            value: &Tensor,
        ) -> Result<()>;

        fn fused_sgd(
            lr: f64,
            momentum: f64,
            dampening: f64,
            weight_decay: f64,
            nesterov: bool,
        ) -> Result<UniquePtr<Optimizer>>;
        fn fused_adam(
            lr: f64,
            beta1: f64,
            beta2: f64,
            weight_decay: f64,
            eps: f64,
            amsgrad: bool,
        ) -> Result<UniquePtr<Optimizer>>;
        fn fused_adamw(
            lr: f64,
            beta1: f64,
            beta2: f64,
            weight_decay: f64,
            eps: f64,
            amsgrad: bool,
        ) -> Result<UniquePtr<Optimizer>>;
        fn fused_rmsprop(
            lr: f64,
            alpha: f64,
            eps: f64,
            weight_decay: f64,
            momentum: f64,
            centered: bool,
        ) -> Result<UniquePtr<Optimizer>>;

        fn step_adagrad(
            tensors: &[TensorRef],
            numbers: &[AdagradNumbers],
            foreach: bool,
        ) -> Result<()>;
        fn step_adan(tensors: &[TensorRef], numbers: &[AdanNumbers], foreach: bool) -> Result<()>;
        fn step_cadam(tensors: &[TensorRef], numbers: &[CAdamNumbers], foreach: bool)
        -> Result<()>;
        fn step_lion(tensors: &[TensorRef], numbers: &[LionNumbers], foreach: bool) -> Result<()>;
        fn step_nadam(tensors: &[TensorRef], numbers: &[NAdamNumbers], foreach: bool)
        -> Result<()>;
        fn step_radam(tensors: &[TensorRef], numbers: &[RAdamNumbers], foreach: bool)
        -> Result<()>;
        fn muon_step(parts: &[MuonPart], rule: MuonRule) -> Result<()>;
        fn muon_orthogonalized(matrix: &Tensor, rule: MuonRule) -> Result<UniquePtr<Tensor>>;
        fn sync(pairs: &[SyncPair], rule: SyncRule) -> Result<f64>;
        fn average(tensors: &[AveragedTensor], rule: AverageRule, foreach: bool) -> Result<bool>;
        fn adaptive_slow_step_size(terms: &[CurvatureTerm], differences: bool) -> Result<f64>;
        fn all_finite(tensors: &[TensorRef], foreach: bool) -> Result<bool>;
        fn gradients_finite(parameters: &[TensorRef], foreach: bool) -> Result<bool>;

        fn start_recording() -> Result<()>;
        fn stop_recording() -> Vec<RecordedOp>;
        fn to_meta(tensor: &Tensor) -> Result<UniquePtr<Tensor>>;

        fn fingerprints(tensors: &[TensorRef], out: &mut [Fingerprint]) -> Result<()>;
        fn set_version(tensor: &Tensor, version: u32) -> Result<()>;
        fn set_gradient(tensor: &Tensor, gradient: &Tensor) -> Result<()>;
        fn forget_gradient(tensor: &Tensor) -> Result<()>;
        fn identity(tensor: &Tensor) -> usize;
        fn is_inference(tensor: &Tensor) -> bool;
        fn to_channels_last(tensor: &Tensor) -> Result<UniquePtr<Tensor>>;
        fn is_channels_last(tensor: &Tensor) -> bool;
        fn suggests_channels_last(tensor: &Tensor) -> bool;

        fn assign(target: &Tensor, source: &Tensor) -> Result<()>;
        fn clip_value(parameters: &[TensorRef], max: f64, foreach: bool) -> Result<()>;
        fn fill(target: &Tensor, value: f64) -> Result<()>;
        fn scale(target: &Tensor, factor: f64) -> Result<()>;
        fn lerp(target: &Tensor, end: &Tensor, weight: f64) -> Result<()>;
        fn norm(tensors: &[TensorRef], from: &[TensorRef]) -> Result<f64>;
        fn norms(tensors: &[TensorRef], from: &[TensorRef]) -> Result<Vec<f64>>;
        fn clip_norm(parameters: &[TensorRef], max: f64, foreach: bool) -> Result<f64>;

        fn start_batch_statistics() -> Result<()>;
        fn stop_batch_statistics() -> Result<Vec<BatchStatistic>>;

        fn keep_freed_memory() -> bool;
        fn redirect_cerr(write: fn(&[u8]), flush: fn());
        fn begin_inference();
        fn end_inference();
        fn inference_is_on() -> bool;
        fn autocast_state(cuda: bool) -> AutocastState;
        fn begin_autocast(cuda: bool, half: bool) -> AutocastState;
        fn suspend_autocast(cuda: bool) -> AutocastState;
        fn end_autocast(before: AutocastState);

        fn generator_state(cuda: bool, index: i8) -> Result<UniquePtr<Tensor>>;
        fn set_generator_state(cuda: bool, index: i8, state: &Tensor) -> Result<()>;
        fn seed_generators(seed: u64) -> Result<()>;
        fn libtorch_version() -> String;
        fn cpu_capability() -> String;
    }
}
