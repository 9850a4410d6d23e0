// The averages beside an inner optimizer, over all tensors at once.
//
//   primal averaging   x ← x + c (z − x);  y ← z + μ (x − z)        z is the point, x the mean, y the model
//   EMA-Nesterov       m ← m + c ((y − θ) − m);  θ ← y;  y ← y + β m    θ is the point, m the mean, y the model
//   a mean alone       m ← m + c (y − m)               m is the mean, y the model
//
// On the CPU one parallel pass reads and writes each element once. It leaves out blocks in which the inner optimizer
// has left NaN or infinity, so that they reach no mean. On other devices, and for tensors that are not dense, ATen's
// foreach operations do the same after a check of all values.

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <tuple>
#include <vector>

#include "elements.h"
#include "flat.h"
#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

namespace lookahead {
namespace {

struct Part {
  void* mean;
  void* point;
  void* model;
  double weight;
  double ahead;
  std::int64_t end;
  // Returns whether all values that the inner optimizer has left are finite.
  bool (*pass)(const Part& part, std::int64_t from, std::int64_t to);
};

// As ATen's `lerp`: from the nearer end, so that it is exact at both.
template <typename W>
struct Lerp {
  bool from_start;
  W factor;

  explicit Lerp(double weight)
      : from_start(weight < 0.5),
        factor(from_start ? static_cast<W>(weight) : -(W(1) - static_cast<W>(weight))) {}

  LOOKAHEAD_INLINE W operator()(W start, W end) const {
    return (from_start ? start : end) + factor * (end - start);
  }
};

template <typename N>
LOOKAHEAD_INLINE typename Layout<N>::Bits beyond_at(const N* values, std::int64_t i) {
  typename Layout<N>::Bits bits;
  std::memcpy(&bits, values + i, sizeof(bits));
  return beyond<N>(bits);
}

template <typename N>
LOOKAHEAD_INLINE bool is_finite(const N* values, std::int64_t from, std::int64_t to) {
  typename Layout<N>::Bits found = 0;
  for (std::int64_t i = from; i < to; ++i) found |= beyond_at(values, i);
  return found == 0;
}

constexpr std::int64_t kBlock = 1024;  // two blocks of three arrays fit the L1 cache

// Calls `update` with each index, except in blocks in which `values` has NaN or infinity. The next block is looked at
// while this one is updated: with a loop for each in turn, the processor fetches too little ahead, and waits. Returns
// whether all values were finite.
template <typename N, typename Update>
LOOKAHEAD_INLINE bool for_finite(const N* values, std::int64_t from, std::int64_t to, const Update update) {
  bool all_finite = true;
  std::int64_t end = std::min(from + kBlock, to);
  bool finite = is_finite(values, from, end);
  while (from < to) {
    const std::int64_t next_end = std::min(end + kBlock, to);
    if (finite && next_end - end == kBlock) {
      typename Layout<N>::Bits found = 0;
      LOOKAHEAD_NO_OVERLAP
      for (std::int64_t i = from; i < from + kBlock; ++i) {
        found |= beyond_at(values, i + kBlock);
        update(i);
      }
      finite = found == 0;
    } else {
      if (finite) {
        LOOKAHEAD_NO_OVERLAP
        for (std::int64_t i = from; i < end; ++i) update(i);
      } else {
        all_finite = false;
      }
      finite = is_finite(values, end, next_end);
    }
    from = end;
    end = next_end;
  }
  return all_finite;
}

// W is the type of the mean and of the computation, N that of the weights.
template <typename W, typename N>
struct Primal {
  static LOOKAHEAD_INLINE bool run(const Part& part, std::int64_t from, std::int64_t to) {
    W* const x = static_cast<W*>(part.mean);
    const N* const z = static_cast<const N*>(part.point);
    N* const y = static_cast<N*>(part.model);
    const Lerp<W> average(part.weight), interpolate(part.ahead);
    if (part.weight == 1.0) {
      // x is z, and so is y, to the bit.
      return for_finite(z, from, to, [=](std::int64_t i) __attribute__((always_inline)) {
        x[i] = static_cast<W>(z[i]);
        y[i] = z[i];
      });
    }
    if (part.ahead == 0.0) {
      return for_finite(z, from, to, [=](std::int64_t i) __attribute__((always_inline)) {
        x[i] = average(x[i], static_cast<W>(z[i]));
        y[i] = z[i];
      });
    }
    if (part.ahead == 1.0) {
      return for_finite(z, from, to, [=](std::int64_t i) __attribute__((always_inline)) {
        const W mean = average(x[i], static_cast<W>(z[i]));
        x[i] = mean;
        y[i] = static_cast<N>(mean);
      });
    }
    return for_finite(z, from, to, [=](std::int64_t i) __attribute__((always_inline)) {
      const W point = static_cast<W>(z[i]);
      const W mean = average(x[i], point);
      x[i] = mean;
      y[i] = static_cast<N>(interpolate(point, mean));
    });
  }
};

template <typename W, typename N>
struct Nesterov {
  static LOOKAHEAD_INLINE bool run(const Part& part, std::int64_t from, std::int64_t to) {
    W* const m = static_cast<W*>(part.mean);
    N* const theta = static_cast<N*>(part.point);
    N* const y = static_cast<N*>(part.model);
    const Lerp<W> average(part.weight);
    // At β = 0 the model is not written: it is the inner optimizer's, to the bit.
    if (part.ahead == 0.0) {
      return for_finite(y, from, to, [=](std::int64_t i) __attribute__((always_inline)) {
        m[i] = average(m[i], static_cast<W>(y[i]) - static_cast<W>(theta[i]));
        theta[i] = y[i];
      });
    }
    const W ahead = static_cast<W>(part.ahead);
    return for_finite(y, from, to, [=](std::int64_t i) __attribute__((always_inline)) {
      const N model = y[i];
      const W mean = average(m[i], static_cast<W>(model) - static_cast<W>(theta[i]));
      m[i] = mean;
      theta[i] = model;
      y[i] = static_cast<N>(static_cast<W>(model) + ahead * mean);
    });
  }
};

template <typename W, typename N>
struct Mean {
  static LOOKAHEAD_INLINE bool run(const Part& part, std::int64_t from, std::int64_t to) {
    W* const m = static_cast<W*>(part.mean);
    const N* const y = static_cast<const N*>(part.model);
    if (part.weight == 1.0) {
      return for_finite(y, from, to, [=](std::int64_t i) __attribute__((always_inline)) { m[i] = static_cast<W>(y[i]); });
    }
    const Lerp<W> average(part.weight);
    return for_finite(y, from, to, [=](std::int64_t i) __attribute__((always_inline)) {
      m[i] = average(m[i], static_cast<W>(y[i]));
    });
  }
};

using Pass = decltype(Part::pass);

template <typename Loop>
Pass pass() {
  return fastest<Loop, const Part&, std::int64_t, std::int64_t>();
}

Pass flat_pass(const AveragedTensor& tensors, AverageRule rule) {
  const Tensor& mean = *tensors.mean;
  const Tensor& point = *tensors.point;
  const Tensor& model = *tensors.model;
  const bool flat = matches(mean, mean) && matches(mean, point) && matches(mean, model) &&
      point.scalar_type() == model.scalar_type();
  if (!flat) return nullptr;
  return for_types(mean.scalar_type(), point.scalar_type(), [&](auto types) -> Pass {
    using W = typename decltype(types)::Wide;
    using N = typename decltype(types)::Narrow;
    switch (rule) {
      case AverageRule::Primal: return pass<Primal<W, N>>();
      case AverageRule::Nesterov: return pass<Nesterov<W, N>>();
      default: return pass<Mean<W, N>>();
    }
  });
}

// Tensors for one foreach call.
struct Batch {
  std::vector<Tensor> mean;
  std::vector<Tensor> point;
  std::vector<Tensor> model;
};

using BatchKey = std::tuple<c10::DeviceType, c10::DeviceIndex, at::ScalarType /* mean */, at::ScalarType /* weights */,
                            double /* weight */, double /* ahead */>;

// Copies in the type of the means.
std::vector<Tensor> widened(const Batch& batch, const std::vector<Tensor>& narrow) {
  std::vector<Tensor> wide(narrow.size());
  for (std::size_t i = 0; i < wide.size(); ++i) wide[i] = at::empty_like(batch.mean[i]);
  at::_foreach_copy_(wide, narrow);
  return wide;
}

void primal_batch(const BatchKey& key, const Batch& batch) {
  const auto& [device, index, mean_type, type, weight, ahead] = key;
  if (weight == 1.0) {
    at::_foreach_copy_(batch.mean, batch.point);
    at::_foreach_copy_(batch.model, batch.point);
    return;
  }
  const bool same = mean_type == type;
  const std::vector<Tensor> wide = same ? batch.point : widened(batch, batch.point);
  at::_foreach_lerp_(batch.mean, wide, weight);
  if (ahead == 1.0) {
    at::_foreach_copy_(batch.model, batch.mean);
  } else if (ahead == 0.0 || same) {
    at::_foreach_copy_(batch.model, batch.point);
    if (ahead != 0.0) at::_foreach_lerp_(batch.model, batch.mean, ahead);
  } else {
    at::_foreach_lerp_(wide, batch.mean, ahead);
    at::_foreach_copy_(batch.model, wide);
  }
}

void nesterov_batch(const BatchKey& key, const Batch& batch) {
  const auto& [device, index, mean_type, type, weight, ahead] = key;
  const bool same = mean_type == type;
  const std::vector<Tensor> next = same ? batch.model : widened(batch, batch.model);
  const std::vector<Tensor> last = same ? batch.point : widened(batch, batch.point);
  at::_foreach_lerp_(batch.mean, at::_foreach_sub(next, last), weight);
  at::_foreach_copy_(batch.point, batch.model);
  if (ahead == 0.0) return;
  at::_foreach_add_(next, batch.mean, ahead);
  if (!same) at::_foreach_copy_(batch.model, next);
}

void mean_batch(const BatchKey& key, const Batch& batch) {
  const auto& [device, index, mean_type, type, weight, ahead] = key;
  if (weight == 1.0) {
    at::_foreach_copy_(batch.mean, batch.model);
    return;
  }
  at::_foreach_lerp_(batch.mean, mean_type == type ? batch.model : widened(batch, batch.model), weight);
}

}  // namespace

bool average(rust::Slice<const AveragedTensor> tensors, AverageRule rule, bool foreach) {
  const at::NoGradGuard no_grad;
  std::vector<Part> parts;
  parts.reserve(tensors.size());
  std::map<BatchKey, Batch> batches;
  std::vector<TensorRef> unchecked;
  std::int64_t end = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    prefetch(i, tensors.size(), [&](std::size_t at) { return tensors[at].mean; });
    prefetch(i, tensors.size(), [&](std::size_t at) { return tensors[at].point; });
    prefetch(i, tensors.size(), [&](std::size_t at) { return tensors[at].model; });
    const AveragedTensor& each = tensors[i];
    const Tensor& model = *each.model;
    if (model.numel() == 0) continue;
    const Pass flat = foreach ? nullptr : flat_pass(each, rule);
    if (flat != nullptr) {
      end += model.numel();
      parts.push_back({each.mean->mutable_data_ptr(), each.point->mutable_data_ptr(), model.mutable_data_ptr(),
                       each.weight, each.ahead, end, flat});
    } else {
      Batch& batch = batches[{model.device().type(), model.device().index(), each.mean->scalar_type(),
                              model.scalar_type(), each.weight, each.ahead}];
      batch.mean.push_back(*each.mean);
      batch.point.push_back(*each.point);
      batch.model.push_back(model);
      unchecked.push_back({rule == AverageRule::Primal ? each.point : each.model});
    }
  }
  if (!all_finite(rust::Slice<const TensorRef>(unchecked.data(), unchecked.size()), foreach)) return false;
  std::atomic<bool> finite{true};
  for_each_range(parts, [&](const Part& part, std::int64_t from, std::int64_t to) {
    if (!part.pass(part, from, to)) finite.store(false, std::memory_order_relaxed);
  });
  for (const auto& [key, batch] : batches) {
    switch (rule) {
      case AverageRule::Primal: primal_batch(key, batch); break;
      case AverageRule::Nesterov: nesterov_batch(key, batch); break;
      default: mean_batch(key, batch);
    }
  }
  // Neither the pass nor, on CUDA, some foreach operations move version counters. Without that, autograd would run
  // an older graph on the new values.
  for (const AveragedTensor& each : tensors) {
    const bool is_written =
        rule == AverageRule::Primal || (rule == AverageRule::Nesterov && each.ahead != 0.0);
    if (!is_written) continue;
    each.model->unsafeGetTensorImpl()->bump_version();
  }
  return finite;
}

}  // namespace lookahead
