//! The border of the module `distributed`.

#[cxx::bridge(namespace = "lookahead")]
pub(crate) mod bridge {
    #[derive(Debug, Clone)]
    struct StoreAddress {
        host: String,
        port: u16,
        /// The listening socket if this process hosts the store, otherwise -1.
        listener: i32,
        /// The prefix of its keys.
        prefix: String,
        /// In milliseconds.
        timeout: u64,
    }

    /// Where Gloo finds this process.
    #[derive(Debug, Clone)]
    struct GlooAddress {
        name: String,
        /// Whether `name` is a network interface rather than an address.
        is_interface: bool,
        rank: i32,
        size: i32,
        /// In milliseconds.
        timeout: u64,
    }

    unsafe extern "C++" {
        include!("lookahead-sys/cpp/shim.h");
        include!("lookahead-sys/src/ffi.rs.h");

        type Tensor = crate::ffi::bridge::Tensor;
        type TensorRef = crate::ffi::bridge::TensorRef;
        type ProcessGroup;
        type Work;

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
        fn all_reduce(
            group: &ProcessGroup,
            tensor: &Tensor,
            maximum: bool,
        ) -> Result<UniquePtr<Work>>;
        fn broadcast(group: &ProcessGroup, tensor: &Tensor, root: i32) -> Result<UniquePtr<Work>>;
        fn all_gather(group: &ProcessGroup, all: &Tensor, own: &Tensor) -> Result<UniquePtr<Work>>;
        fn gather_to_first(
            group: &ProcessGroup,
            all: &[TensorRef],
            own: &Tensor,
        ) -> Result<UniquePtr<Work>>;
        fn barrier(group: &ProcessGroup) -> Result<UniquePtr<Work>>;
        fn wait_for(work: &Work) -> Result<()>;
        fn copy_all_scaled(
            targets: &[TensorRef],
            sources: &[TensorRef],
            bases: &[TensorRef],
            scale: f64,
        ) -> Result<bool>;
        fn fills_its_memory(tensor: &Tensor) -> bool;
        fn same_layout(some: &[TensorRef], others: &[TensorRef]) -> bool;
        fn bits_of(tensors: &[TensorRef], share: u64, shares: u64) -> Result<u64>;
    }
}
