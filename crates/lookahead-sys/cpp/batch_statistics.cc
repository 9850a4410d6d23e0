// What batch normalizations draw from their inputs, seen where they are called.
//
// The running buffers of a layer are of no use for that: they hold f32, scaled by a momentum that tch keeps
// to itself, and don't tell how many values they were taken from.

#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>
#include <ATen/ops/var_mean.h>
#include <ATen/record_function.h>

#include <cstring>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

namespace lookahead {
namespace {

struct Seen {
  BatchStatistic call;
  Tensor mean;
  Tensor variance;
};

struct Watching {
  std::vector<Seen> seen;
  std::string failure;
  at::CallbackHandle handle = 0;
};

thread_local std::unique_ptr<Watching> watching;

std::size_t identity_of(const c10::IValue& value) {
  if (!value.isTensor() || !value.toTensor().defined()) return 0;
  return reinterpret_cast<std::size_t>(value.toTensor().unsafeGetTensorImpl());
}

void look_at(c10::ArrayRef<const c10::IValue> inputs, std::vector<Seen>& seen) {
  // input, weight, bias, running_mean, running_var, training, …
  const Tensor input = inputs.at(0).toTensor().detach();
  if (input.dim() < 2 || input.size(1) == 0) return;
  Seen found{{identity_of(inputs.at(3)), identity_of(inputs.at(4)), inputs.at(5).toBool(),
              input.numel() / input.size(1), nullptr, nullptr},
             {},
             {}};
  if (found.call.training && found.call.values >= 2) {
    std::vector<std::int64_t> within;
    for (std::int64_t dim = 0; dim < input.dim(); ++dim) {
      if (dim != 1) within.push_back(dim);
    }
    std::tie(found.variance, found.mean) =
        at::var_mean(input.to(at::kDouble), at::IntArrayRef(within), /*unbiased=*/true);
  }
  seen.push_back(std::move(found));
}

std::unique_ptr<at::ObserverContext> look(const at::RecordFunction& call) {
  if (!watching || std::strcmp(call.name(), "aten::batch_norm") != 0) return nullptr;
  // An observer that throws is only logged.
  try {
    const at::DisableRecordFunctionGuard unobserved;
    const at::NoGradGuard no_grad;
    look_at(call.inputs(), watching->seen);
  } catch (const c10::Error& error) {
    watching->failure = error.what_without_backtrace();
  } catch (const std::exception& error) {
    watching->failure = error.what();
  }
  return nullptr;
}

}  // namespace

void start_batch_statistics() {
  TORCH_CHECK(!watching, "Batch statistics are taken already in this thread.");
  watching = std::make_unique<Watching>();
  watching->handle = at::addThreadLocalCallback(
      at::RecordFunctionCallback(look).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
}

rust::Vec<BatchStatistic> stop_batch_statistics() {
  rust::Vec<BatchStatistic> calls;
  if (!watching) return calls;
  at::removeCallback(watching->handle);
  const std::unique_ptr<Watching> done = std::move(watching);
  TORCH_CHECK(done->failure.empty(), done->failure);
  for (Seen& seen : done->seen) {
    if (seen.mean.defined()) {
      seen.call.mean = new Tensor(std::move(seen.mean));
      seen.call.variance = new Tensor(std::move(seen.variance));
    }
    calls.push_back(seen.call);
  }
  return calls;
}

}  // namespace lookahead
