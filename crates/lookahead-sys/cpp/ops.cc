// Recorded calls of ATen's dispatcher, and tensors without memory, which stand in for a GPU.

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>

#include <memory>
#include <string>
#include <utility>

#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

namespace lookahead {
namespace {

struct Recording {
  rust::Vec<RecordedOp> ops;
  std::uint32_t depth = 0;
  at::CallbackHandle handle = 0;
};

// The observer sees the calls of one thread; the kernels' own threads call no operations.
thread_local std::unique_ptr<Recording> recording;

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& call) {
  if (recording) recording->ops.push_back({rust::String::lossy(call.name()), recording->depth++});
  return nullptr;
}

void end(const at::RecordFunction&, at::ObserverContext*) {
  if (recording && recording->depth > 0) --recording->depth;
}

}  // namespace

void start_recording() {
  TORCH_CHECK(!recording, "This thread is already recording operations.");
  recording = std::make_unique<Recording>();
  recording->handle = at::addThreadLocalCallback(
      at::RecordFunctionCallback(begin, end).scopes({at::RecordScope::FUNCTION}));
}

rust::Vec<RecordedOp> stop_recording() {
  if (!recording) return {};
  at::removeCallback(recording->handle);
  const std::unique_ptr<Recording> done = std::move(recording);
  return std::move(done->ops);
}

std::unique_ptr<Tensor> to_meta(const Tensor& tensor) {
  const at::NoGradGuard no_grad;
  Tensor moved = tensor.to(at::kMeta).set_requires_grad(tensor.requires_grad());
  if (tensor.grad().defined()) moved.mutable_grad() = tensor.grad().to(at::kMeta);
  return std::make_unique<Tensor>(std::move(moved));
}

}  // namespace lookahead
