// The order of a tensor's elements in memory.

#include <ATen/core/Tensor.h>

#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

namespace lookahead {

Tensor* to_channels_last(const Tensor* tensor) {
  // `contiguous` would leave strides that mean either order, as with one channel, as they are, and
  // kernels read those as the usual one.
  return new Tensor(tensor->to(tensor->options(), /*non_blocking=*/false, /*copy=*/false,
                               at::MemoryFormat::ChannelsLast));
}

bool is_channels_last(const Tensor* tensor) {
  return tensor->dim() == 4 && tensor->is_contiguous(at::MemoryFormat::ChannelsLast);
}

bool suggests_channels_last(const Tensor* tensor) {
  return tensor->dim() == 4 && tensor->suggest_memory_format() == at::MemoryFormat::ChannelsLast;
}

}  // namespace lookahead
