// Autocast: matrix products and convolutions in a narrower type than that of their operands.

#include <c10/core/DeviceType.h>
#include <c10/core/ScalarType.h>
#include <c10/macros/Export.h>

#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

// From ATen/autocast_mode.h, which includes all of ATen: most of a minute to compile.
namespace at::autocast {
TORCH_API bool is_autocast_enabled(at::DeviceType device_type);
TORCH_API void set_autocast_enabled(at::DeviceType device_type, bool enabled);
TORCH_API at::ScalarType get_autocast_dtype(at::DeviceType device_type);
TORCH_API void set_autocast_dtype(at::DeviceType device_type, at::ScalarType dtype);
TORCH_API void clear_cache();
TORCH_API int increment_nesting();
TORCH_API int decrement_nesting();
}  // namespace at::autocast

namespace lookahead {
namespace {

at::DeviceType device_type(bool cuda) { return cuda ? at::kCUDA : at::kCPU; }

}  // namespace

AutocastState autocast_state(bool cuda) {
  const at::DeviceType type = device_type(cuda);
  return {cuda, at::autocast::is_autocast_enabled(type),
          static_cast<std::int8_t>(at::autocast::get_autocast_dtype(type))};
}

AutocastState begin_autocast(bool cuda, bool half) {
  const AutocastState before = autocast_state(cuda);
  const at::DeviceType type = device_type(cuda);
  at::autocast::set_autocast_enabled(type, true);
  at::autocast::set_autocast_dtype(type, half ? at::kHalf : at::kBFloat16);
  at::autocast::increment_nesting();
  return before;
}

AutocastState suspend_autocast(bool cuda) {
  const AutocastState before = autocast_state(cuda);
  at::autocast::set_autocast_enabled(device_type(cuda), false);
  // Counts as a region, so that its end does not clear the casts of the enclosing one.
  at::autocast::increment_nesting();
  return before;
}

void end_autocast(AutocastState before) {
  // Cached casts belong to the weights and the grad mode at the time of the cast.
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  const at::DeviceType type = device_type(before.cuda);
  at::autocast::set_autocast_enabled(type, before.enabled);
  at::autocast::set_autocast_dtype(type, static_cast<at::ScalarType>(before.dtype));
}

}  // namespace lookahead
