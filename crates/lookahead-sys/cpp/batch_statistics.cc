// The statistics that batch normalizations compute from their inputs, by observing the calls.
//
// A layer's running buffers can't tell: they are f32, scaled by a momentum that tch keeps private, and don't
// say from how many values they were taken.

#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>
#include <ATen/ops/var_mean.h>
#include <ATen/record_function.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

namespace lookahead {
namespace {

struct Watching {
  rust::Vec<BatchStatistic> seen;
  std::string failure;
  at::CallbackHandle handle = 0;
};

thread_local std::unique_ptr<Watching> watching;

std::size_t identity_of(const c10::IValue& value) {
  if (!value.isTensor() || !value.toTensor().defined()) return 0;
  return reinterpret_cast<std::size_t>(value.toTensor().unsafeGetTensorImpl());
}

void record_call(c10::ArrayRef<const c10::IValue> inputs, rust::Vec<BatchStatistic>& seen) {
  // input, weight, bias, running_mean, running_var, training, …
  const Tensor input = inputs.at(0).toTensor().detach();
  if (input.dim() < 2 || input.size(1) == 0) return;
  BatchStatistic found{identity_of(inputs.at(3)), identity_of(inputs.at(4)), inputs.at(5).toBool(),
                       input.numel() / input.size(1), nullptr, nullptr};
  if (found.training && found.values >= 2) {
    std::vector<std::int64_t> within;
    for (std::int64_t dim = 0; dim < input.dim(); ++dim) {
      if (dim != 1) within.push_back(dim);
    }
    auto [variance, mean] = at::var_mean(input.to(at::kDouble), at::IntArrayRef(within), /*unbiased=*/true);
    found.variance = std::make_unique<Tensor>(std::move(variance));
    found.mean = std::make_unique<Tensor>(std::move(mean));
  }
  seen.push_back(std::move(found));
}

std::unique_ptr<at::ObserverContext> look(const at::RecordFunction& call) {
  if (!watching || std::strcmp(call.name(), "aten::batch_norm") != 0) return nullptr;
  // libtorch only logs what an observer throws.
  try {
    const at::DisableRecordFunctionGuard unobserved;
    const at::NoGradGuard no_grad;
    record_call(call.inputs(), watching->seen);
  } catch (const c10::Error& error) {
    watching->failure = error.what_without_backtrace();
  } catch (const std::exception& error) {
    watching->failure = error.what();
  }
  return nullptr;
}

}  // namespace

void start_batch_statistics() {
  TORCH_CHECK(!watching, "This thread is already watching batch statistics.");
  watching = std::make_unique<Watching>();
  watching->handle = at::addThreadLocalCallback(
      at::RecordFunctionCallback(look).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
}

rust::Vec<BatchStatistic> stop_batch_statistics() {
  if (!watching) return {};
  at::removeCallback(watching->handle);
  const std::unique_ptr<Watching> done = std::move(watching);
  TORCH_CHECK(done->failure.empty(), done->failure);
  return std::move(done->seen);
}

}  // namespace lookahead
