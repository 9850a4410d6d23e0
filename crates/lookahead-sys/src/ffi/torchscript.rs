//! The border of the module `torchscript`.

#[cxx::bridge(namespace = "lookahead")]
pub(crate) mod bridge {
    /// A tensor of a module, under its name in it.
    struct ModuleTensor {
        name: String,
        /// Otherwise it is a buffer.
        is_parameter: bool,
        tensor: UniquePtr<Tensor>,
    }

    /// A tensor that a traced module will have.
    struct NamedTensor {
        name: String,
        is_parameter: bool,
        tensor: *const Tensor,
    }

    unsafe extern "C++" {
        include!("lookahead-sys/cpp/shim.h");
        include!("lookahead-sys/src/ffi.rs.h");

        type Tensor = crate::ffi::bridge::Tensor;
        type ScriptModule;

        fn load_module(path: &str, cuda: bool, index: i8) -> Result<UniquePtr<ScriptModule>>;
        fn module_tensors(module: &ScriptModule) -> Result<Vec<ModuleTensor>>;
        fn set_module_training(module: &ScriptModule, training: bool) -> Result<()>;
        fn module_forward(module: &ScriptModule, input: &Tensor) -> Result<UniquePtr<Tensor>>;
        fn save_module(
            module: &ScriptModule,
            path: &str,
            extra_name: &str,
            extra_text: &str,
        ) -> Result<()>;
        fn begin_trace(tensors: &[NamedTensor], input: &Tensor) -> Result<UniquePtr<ScriptModule>>;
        fn end_trace(traced: &ScriptModule, output: &Tensor) -> Result<()>;
        fn abandon_trace();
    }
}
