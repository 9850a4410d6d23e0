// Checks whether all values are finite.

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>

#include <atomic>
#include <limits>
#include <map>
#include <tuple>
#include <vector>

#include "elements.h"
#include "finite.h"
#include "flat.h"
#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"
#include "values.h"

namespace lookahead {
namespace {

struct Part {
  const void* values;
  std::int64_t end;
  Finite finite;
};

template <typename T>
struct IsFinite {
  static LOOKAHEAD_INLINE bool run(const void* values, std::int64_t from, std::int64_t to) {
    using Bits = typename Layout<T>::Bits;
    const Bits* bits = static_cast<const Bits*>(values);
    Bits found = 0;
    for (std::int64_t i = from; i < to; ++i) found |= beyond<T>(bits[i]);
    return found == 0;
  }
};

template <typename T>
Finite check() {
  return fastest<IsFinite<T>, const void*, std::int64_t, std::int64_t>();
}

// Three operations per device and element type, and one value read back. The largest magnitude is finite only
// if all values are: the maximum propagates NaN.
bool batch_is_finite(const std::vector<Tensor>& batch) {
  const auto norms = at::_foreach_norm(batch, std::numeric_limits<double>::infinity());
  return at::isfinite(at::stack(norms)).all().item<bool>();
}

}  // namespace

Finite finite_for(at::ScalarType type) {
  switch (type) {
    case at::kFloat: return check<float>();
    case at::kDouble: return check<double>();
    case at::kBFloat16: return check<at::BFloat16>();
    case at::kHalf: return check<at::Half>();
    default: return nullptr;
  }
}

bool all_finite(rust::Slice<const TensorRef> tensors, bool foreach) {
  const at::NoGradGuard no_grad;
  std::vector<Part> parts;
  parts.reserve(tensors.size());
  std::map<std::tuple<c10::DeviceType, c10::DeviceIndex, at::ScalarType>, std::vector<Tensor>> batches;
  std::int64_t end = 0;
  for (const TensorRef& ref : tensors) {
    const Tensor& tensor = *ref.tensor;
    if (!tensor.defined() || tensor.numel() == 0) continue;
    const Finite flat = foreach || !tensor.is_cpu() || !is_dense(tensor)
        ? nullptr
        : finite_for(tensor.scalar_type());
    if (flat != nullptr) {
      end += tensor.numel();
      parts.push_back({tensor.const_data_ptr(), end, flat});
    } else {
      const Tensor values = values_of(tensor);
      if (values.numel() == 0) continue;
      batches[{values.device().type(), values.device().index(), values.scalar_type()}].push_back(values);
    }
  }
  std::atomic<bool> finite{true};
  for_each_range(parts, [&](const Part& part, std::int64_t from, std::int64_t to) {
    if (!part.finite(part.values, from, to)) finite.store(false, std::memory_order_relaxed);
  });
  if (!finite) return false;
  for (const auto& [key, batch] : batches) {
    if (!batch_is_finite(batch)) return false;
  }
  return true;
}

bool gradients_finite(rust::Slice<const TensorRef> parameters, bool foreach) {
  std::vector<TensorRef> found;
  found.reserve(parameters.size());
  for (const TensorRef& parameter : parameters) {
    const Tensor& gradient = parameter.tensor->grad();
    if (gradient.defined()) found.push_back({&gradient});
  }
  return all_finite(rust::Slice<const TensorRef>(found.data(), found.size()), foreach);
}

}  // namespace lookahead
