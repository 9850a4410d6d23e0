// What is asked of ATen's dispatcher, and tensors without memory: what stands for a GPU where there
// is none.

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

namespace lookahead {
namespace {

struct Recording {
  std::vector<RecordedOp> ops;
  std::uint32_t depth = 0;
  at::CallbackHandle handle = 0;
};

// The observer is told of one thread's calls, and the kernels' own threads call no operation.
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
  TORCH_CHECK(!recording, "Operations are recorded already in this thread.");
  recording = std::make_unique<Recording>();
  recording->handle = at::addThreadLocalCallback(
      at::RecordFunctionCallback(begin, end).scopes({at::RecordScope::FUNCTION}));
}

rust::Vec<RecordedOp> stop_recording() {
  rust::Vec<RecordedOp> ops;
  if (recording) {
    at::removeCallback(recording->handle);
    for (RecordedOp& op : recording->ops) ops.push_back(std::move(op));
    recording.reset();
  }
  return ops;
}

Tensor* to_meta(const Tensor* tensor) {
  const at::NoGradGuard no_grad;
  Tensor moved = tensor->to(at::kMeta).set_requires_grad(tensor->requires_grad());
  if (tensor->grad().defined()) moved.mutable_grad() = tensor->grad().to(at::kMeta);
  return new Tensor(std::move(moved));
}

}  // namespace lookahead
