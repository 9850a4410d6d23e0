// Inference mode of one thread.

#include <c10/core/InferenceMode.h>

#include <cstdint>
#include <optional>

#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

namespace lookahead {
namespace {

// All guards of a thread share one region, which ends with the last of them. So guards may be dropped in any
// order without leaving the mode on.
thread_local std::uint32_t guards = 0;
thread_local std::optional<c10::InferenceMode> region;

}  // namespace

void begin_inference() {
  if (guards++ == 0) region.emplace();
}

void end_inference() {
  if (guards > 0 && --guards == 0) region.reset();
}

bool inference_is_on() { return c10::InferenceMode::is_enabled(); }

bool is_inference(const Tensor& tensor) { return tensor.is_inference(); }

}  // namespace lookahead
