//! The border of the module `images`.

#[cxx::bridge(namespace = "lookahead")]
pub(crate) mod bridge {
    unsafe extern "C++" {
        include!("lookahead-sys/cpp/shim.h");
        include!("lookahead-sys/src/ffi.rs.h");

        type Tensor = crate::ffi::bridge::Tensor;

        fn pin_memory(tensor: &Tensor) -> Result<UniquePtr<Tensor>>;
        fn normalized_images(
            pixels: &[u8],
            indices: &[usize],
            mean: &[f32],
            std: &[f32],
            plane: usize,
            out: &mut [f32],
        );
    }
}
