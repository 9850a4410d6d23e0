// The memory order of a tensor's elements.

#include <ATen/core/Tensor.h>

#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

namespace lookahead {

std::unique_ptr<Tensor> to_channels_last(const Tensor& tensor) {
  // With one channel the strides fit both orders. `contiguous` would keep them, and kernels read those as
  // row-major.
  return std::make_unique<Tensor>(
      tensor.to(tensor.options(), /*non_blocking=*/false, /*copy=*/false, at::MemoryFormat::ChannelsLast));
}

bool is_channels_last(const Tensor& tensor) {
  return tensor.dim() == 4 && tensor.is_contiguous(at::MemoryFormat::ChannelsLast);
}

bool suggests_channels_last(const Tensor& tensor) {
  return tensor.dim() == 4 && tensor.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
}

}  // namespace lookahead
