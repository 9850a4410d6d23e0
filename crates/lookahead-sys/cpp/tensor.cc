// Detecting that other code changed a tensor.

#include "flat.h"
#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

namespace lookahead {

void fingerprints(rust::Slice<const TensorRef> tensors, rust::Slice<Fingerprint> out) {
  TORCH_CHECK(tensors.size() == out.size(), "Expected as many fingerprints as tensors.");
  at::parallel_for(0, static_cast<std::int64_t>(tensors.size()), kHeaders, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) {
      prefetch(i, to, [&](std::size_t at) { return tensors[at].tensor; });
      const Tensor& tensor = *tensors[i].tensor;
      const c10::TensorImpl* impl = tensor.unsafeGetTensorImpl();
      Fingerprint& fingerprint = out[i];
      fingerprint.version = impl->version_counter().current_version();
      // The storage object rather than its data, because empty tensors share a null data pointer.
      fingerprint.storage = impl->has_storage()
          ? reinterpret_cast<std::size_t>(impl->unsafe_storage().unsafeGetStorageImpl())
          : 0;
      fingerprint.offset = tensor.storage_offset();
      fingerprint.dtype = static_cast<std::int8_t>(tensor.scalar_type());
    }
  });
}

void set_version(const Tensor& tensor, std::uint32_t version) {
  // The copy refers to the same counter; the accessor returns a const reference.
  c10::VariableVersion counter = tensor.unsafeGetTensorImpl()->version_counter();
  counter.set_version(version);
}

void set_gradient(const Tensor& tensor, const Tensor& gradient) {
  TORCH_CHECK(tensor.sizes() == gradient.sizes() && tensor.options().type_equal(gradient.options()),
              "A gradient must have the shape, type and device of its tensor.");
  tensor.mutable_grad() = gradient;
}

void forget_gradient(const Tensor& tensor) {
  if (tensor.grad().defined()) tensor.mutable_grad().reset();
}

std::size_t identity(const Tensor& tensor) {
  return reinterpret_cast<std::size_t>(tensor.unsafeGetTensorImpl());
}

}  // namespace lookahead
