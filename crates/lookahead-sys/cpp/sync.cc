// The sync of slow and fast weights, over all tensors at once.
//
//   without momentum   φ ← φ + α (θ − φ)                      in the form of `lerp`, exact at θ = φ
//   with momentum μ    d = φ − θ;  v ← μ v + d;  φ ← φ − α u   where u = v, or d + μ v (Nesterov)
//   with α inside      d = α (φ − θ);  v ← μ v + d;  φ ← φ − u   where u = v, or d + μ v
//   then               θ ← φ
//
// If several processes train together, the mean of their θ replaces θ, given as itself or as the mean of the
// differences θ − φ.
//
// On the CPU one parallel pass reads and writes each element once: 16 bytes for a float parameter, while `lerp_`
// and then `copy_` move 20. On other devices, and for tensors that are not dense, ATen's foreach operations do it:
// on CUDA their number of kernels does not grow with the number of tensors.

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>
#include <type_traits>
#include <vector>

#include "elements.h"
#include "flat.h"
#include "lookahead-sys/src/ffi.rs.h"
#include "narrow.h"
#include "shim.h"
#include "values.h"

namespace lookahead {
namespace {

struct Part {
  void* slow;
  void* fast;
  void* velocity;
  const void* mean;
  double alpha;
  std::int64_t end;
  // Returns the squared distance of θ from the mean, if there is one.
  double (*pass)(const Part& part, const SyncRule& rule, std::int64_t from, std::int64_t to);
};

// S is the type of the weights and of the computation.
template <typename S>
struct Sync {
  static LOOKAHEAD_INLINE double run(const Part& part, const SyncRule& rule, std::int64_t from, std::int64_t to) {
    S* __restrict__ slow = static_cast<S*>(part.slow);
    S* __restrict__ fast = static_cast<S*>(part.fast);
    const S alpha = static_cast<S>(part.alpha);
    const bool restart = rule.restart;
    if (part.velocity != nullptr) {
      S* __restrict__ velocity = static_cast<S*>(part.velocity);
      const S momentum = static_cast<S>(rule.momentum);
      const S along = rule.nesterov ? momentum : S(1);
      const S ahead = rule.nesterov ? S(1) : S(0);
      if (rule.alpha_inside) {
        for (std::int64_t i = from; i < to; ++i) {
          const S scaled = alpha * (slow[i] - fast[i]);
          velocity[i] = momentum * velocity[i] + scaled;
          slow[i] -= along * velocity[i] + ahead * scaled;
        }
      } else {
        for (std::int64_t i = from; i < to; ++i) {
          const S difference = slow[i] - fast[i];
          velocity[i] = momentum * velocity[i] + difference;
          slow[i] -= alpha * (along * velocity[i] + ahead * difference);
        }
      }
      if (restart) {
        for (std::int64_t i = from; i < to; ++i) fast[i] = slow[i];
      }
    } else if (part.alpha == 1.0) {
      // θ is not written: at α = 1 Lookahead is its inner optimizer, to the bit.
      for (std::int64_t i = from; i < to; ++i) slow[i] = fast[i];
    } else if (!restart) {
      if (part.alpha < 0.5) {
        for (std::int64_t i = from; i < to; ++i) {
          slow[i] += alpha * (fast[i] - slow[i]);
        }
      } else {
        const S rest = S(1) - alpha;
        for (std::int64_t i = from; i < to; ++i) {
          const S end = fast[i];
          slow[i] = end - rest * (end - slow[i]);
        }
      }
    } else if (part.alpha < 0.5) {
      for (std::int64_t i = from; i < to; ++i) {
        const S next = slow[i] + alpha * (fast[i] - slow[i]);
        slow[i] = next;
        fast[i] = next;
      }
    } else {
      // As in `lerp`, start from the nearer end, so that the result is exact towards α = 1. Beyond 1 it
      // extrapolates.
      const S rest = S(1) - alpha;
      for (std::int64_t i = from; i < to; ++i) {
        const S end = fast[i];
        const S next = end - rest * (end - slow[i]);
        slow[i] = next;
        fast[i] = next;
      }
    }
    return 0.0;
  }
};

// The same with fast weights in half precision, which are converted in blocks.
template <typename F>
struct SyncNarrow {
  static LOOKAHEAD_INLINE double run(const Part& part, const SyncRule& rule, std::int64_t from, std::int64_t to) {
    constexpr std::int64_t block = 1024;  // fits the L1 cache
    float wide[block];
    const bool restarts = rule.restart && (part.alpha != 1.0 || part.velocity != nullptr);
    for (std::int64_t at = from; at < to; at += block) {
      const std::int64_t count = std::min(block, to - at);
      F* fast = static_cast<F*>(part.fast) + at;
      float* velocity = part.velocity == nullptr ? nullptr : static_cast<float*>(part.velocity) + at;
      convert(fast, wide, count);
      const Part piece{static_cast<float*>(part.slow) + at, wide, velocity, nullptr, part.alpha, count, nullptr};
      Sync<float>::run(piece, rule, 0, count);
      if (restarts) convert(wide, fast, count);
    }
    return 0.0;
  }
};

// The same with the mean of several processes instead of θ. M is the mean's type.
template <typename S, typename F, typename M>
struct SyncMean {
  static LOOKAHEAD_INLINE double run(const Part& part, const SyncRule& rule, std::int64_t from, std::int64_t to) {
    constexpr std::int64_t block = 512;  // fits the L1 cache
    S target[block];
    // One sum per position in the block, which vectorizes; in f64, where the squares of f32 don't overflow.
    double squares[block] = {};
    SyncRule towards = rule;
    towards.restart = false;
    for (std::int64_t at = from; at < to; at += block) {
      const std::int64_t count = std::min(block, to - at);
      S* __restrict__ slow = static_cast<S*>(part.slow) + at;
      F* __restrict__ fast = static_cast<F*>(part.fast) + at;
      const M* __restrict__ mean = static_cast<const M*>(part.mean) + at;
      if (rule.differences) {
        for (std::int64_t i = 0; i < count; ++i) {
          target[i] = slow[i] + static_cast<S>(mean[i]);
          const double apart =
              static_cast<double>(static_cast<S>(fast[i])) - static_cast<double>(target[i]);
          squares[i] += apart * apart;
        }
      } else {
        for (std::int64_t i = 0; i < count; ++i) {
          target[i] = static_cast<S>(mean[i]);
          const double apart =
              static_cast<double>(static_cast<S>(fast[i])) - static_cast<double>(target[i]);
          squares[i] += apart * apart;
        }
      }
      void* velocity = part.velocity == nullptr ? nullptr : static_cast<S*>(part.velocity) + at;
      const Part piece{slow, target, velocity, nullptr, part.alpha, count, nullptr};
      Sync<S>::run(piece, towards, 0, count);
      if (rule.restart) {
        for (std::int64_t i = 0; i < count; ++i) fast[i] = static_cast<F>(slow[i]);
      }
    }
    return std::accumulate(squares, squares + block, 0.0);
  }
};

using Pass = decltype(Part::pass);

template <typename Loop>
Pass pass() {
  return fastest<Loop, const Part&, const SyncRule&, std::int64_t, std::int64_t>();
}

// The pass for these element types; null if there is none.
Pass pass_for(at::ScalarType slow, at::ScalarType fast) {
  return for_types(slow, fast, [](auto types) -> Pass {
    using S = typename decltype(types)::Wide;
    using F = typename decltype(types)::Narrow;
    if constexpr (std::is_same_v<S, F>) return pass<Sync<S>>();
    else return pass<SyncNarrow<F>>();
  });
}

Pass pass_for(at::ScalarType slow, at::ScalarType fast, at::ScalarType mean) {
  return for_types(slow, fast, [&](auto types) -> Pass {
    using S = typename decltype(types)::Wide;
    using F = typename decltype(types)::Narrow;
    if (mean == slow) return pass<SyncMean<S, F, S>>();
    if (mean == at::kBFloat16) return pass<SyncMean<S, F, at::BFloat16>>();
    return nullptr;
  });
}

Pass flat_pass(const SyncPair& pair) {
  const Tensor& slow = *pair.slow;
  const Tensor& fast = *pair.fast;
  const bool flat = matches(slow, slow) && matches(slow, fast) &&
      (pair.velocity == nullptr ||
       (matches(slow, *pair.velocity) && pair.velocity->scalar_type() == slow.scalar_type())) &&
      (pair.mean == nullptr || matches(slow, *pair.mean));
  if (!flat) return nullptr;
  if (pair.mean == nullptr) return pass_for(slow.scalar_type(), fast.scalar_type());
  return pass_for(slow.scalar_type(), fast.scalar_type(), pair.mean->scalar_type());
}

// The part of a pair, with its number of elements as `end`; without a pass and elements if there is no loop for it.
Part part_of(const SyncPair& pair, const SyncRule& rule) {
  const Pass flat = rule.foreach ? nullptr : flat_pass(pair);
  if (flat == nullptr) return {};
  const Tensor& slow = *pair.slow;
  const Tensor& fast = *pair.fast;
  // Read at each sync, because swaps and loads replace the memory.
  void* velocity = pair.velocity == nullptr ? nullptr : pair.velocity->mutable_data_ptr();
  const void* mean = pair.mean == nullptr ? nullptr : pair.mean->const_data_ptr();
  // The pass does not move version counters. Without that, autograd would run an older graph on the new values.
  slow.unsafeGetTensorImpl()->bump_version();
  if (rule.restart && (pair.alpha != 1.0 || velocity != nullptr || mean != nullptr)) {
    fast.unsafeGetTensorImpl()->bump_version();
  }
  return {slow.mutable_data_ptr(), fast.mutable_data_ptr(), velocity, mean, pair.alpha, slow.numel(), flat};
}

// Tensors for one foreach call.
struct Batch {
  std::vector<Tensor> slow;
  std::vector<Tensor> fast;
  std::vector<Tensor> velocity;
  std::vector<Tensor> mean;
};

using BatchKey = std::tuple<c10::DeviceType, c10::DeviceIndex, at::ScalarType, at::ScalarType,
                            double /* alpha */, bool /* velocity */, bool /* mean */>;

// Returns the squared distance of θ from the mean, if there is one.
double sync_batch(const BatchKey& key, const Batch& batch, const SyncRule& rule) {
  const auto& [type, index, slow_type, fast_type, alpha, has_velocity, has_mean] = key;
  if (!has_velocity && !has_mean && alpha == 1.0) {
    at::_foreach_copy_(batch.slow, batch.fast);
    return 0.0;
  }
  std::vector<Tensor> wide = has_mean ? batch.mean : batch.fast;
  const auto like_slow = [&](const Tensor& tensor) { return tensor.scalar_type() == slow_type; };
  if ((has_mean && rule.differences) || !std::all_of(wide.begin(), wide.end(), like_slow)) {
    const std::vector<Tensor> narrow = wide;
    for (std::size_t i = 0; i < wide.size(); ++i) wide[i] = at::empty_like(batch.slow[i]);
    at::_foreach_copy_(wide, narrow);
  }
  double apart = 0.0;
  if (has_mean) {
    if (rule.differences) at::_foreach_add_(wide, batch.slow);
    const auto norms = at::_foreach_norm(at::_foreach_sub(wide, batch.fast), 2, at::kDouble);
    apart = at::stack(norms).square().sum().item<double>();
    if (!std::isfinite(apart)) {
      // A difference overflowed single precision, or a value is NaN or infinity.
      apart = 0.0;
      for (std::size_t i = 0; i < wide.size(); ++i) {
        const Tensor difference = as_real(wide[i]).to(at::kDouble) - as_real(batch.fast[i]).to(at::kDouble);
        apart += difference.square().sum().item<double>();
      }
    }
  }
  if (has_velocity) {
    std::vector<Tensor> difference = at::_foreach_sub(batch.slow, wide);
    if (rule.alpha_inside) at::_foreach_mul_(difference, alpha);
    const double step = rule.alpha_inside ? -1.0 : -alpha;
    at::_foreach_mul_(batch.velocity, rule.momentum);
    at::_foreach_add_(batch.velocity, difference);
    if (rule.nesterov) {
      at::_foreach_add_(difference, batch.velocity, rule.momentum);
      at::_foreach_add_(batch.slow, difference, step);
    } else {
      at::_foreach_add_(batch.slow, batch.velocity, step);
    }
  } else {
    at::_foreach_lerp_(batch.slow, wide, alpha);
  }
  if (rule.restart) at::_foreach_copy_(batch.fast, batch.slow);
  return apart;
}

}  // namespace

double sync(rust::Slice<const SyncPair> pairs, SyncRule rule) {
  const at::NoGradGuard no_grad;
  // Most of what a small tensor costs are its headers, so all threads read them.
  std::vector<Part> parts(pairs.size());
  at::parallel_for(0, static_cast<std::int64_t>(pairs.size()), kHeaders, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) {
      prefetch(i, to, [&](std::size_t at) { return pairs[at].slow; });
      prefetch(i, to, [&](std::size_t at) { return pairs[at].fast; });
      parts[i] = part_of(pairs[i], rule);
    }
  });
  std::map<BatchKey, Batch> batches;
  std::size_t kept = 0;
  std::int64_t end = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (parts[i].pass != nullptr) {
      if (parts[i].end == 0) continue;
      end += parts[i].end;
      parts[i].end = end;
      parts[kept++] = parts[i];
      continue;
    }
    const SyncPair& pair = pairs[i];
    const Tensor& slow = *pair.slow;
    const Tensor& fast = *pair.fast;
    const BatchKey key{fast.device().type(), fast.device().index(), slow.scalar_type(),
                       fast.scalar_type(),   pair.alpha,            pair.velocity != nullptr,
                       pair.mean != nullptr};
    Batch& batch = batches[key];
    batch.slow.push_back(slow);
    batch.fast.push_back(fast);
    if (pair.velocity != nullptr) batch.velocity.push_back(*pair.velocity);
    if (pair.mean != nullptr) batch.mean.push_back(*pair.mean);
  }
  parts.resize(kept);
  // One sum per thread, so that they are added in the same order each time.
  std::vector<double> apart(at::get_num_threads(), 0.0);
  for_each_range(parts, [&](const Part& part, std::int64_t from, std::int64_t to) {
    apart[at::get_thread_num()] += part.pass(part, rule, from, to);
  });
  double sum = std::accumulate(apart.begin(), apart.end(), 0.0);
  for (const auto& [key, batch] : batches) {
    sum += sync_batch(key, batch, rule);
    // On CUDA some foreach operations don't move version counters (seen with `_foreach_lerp_`).
    for (const Tensor& slow : batch.slow) slow.unsafeGetTensorImpl()->bump_version();
    const bool copied = std::get<4>(key) == 1.0 && batch.velocity.empty() && batch.mean.empty();
    if (!rule.restart || copied) continue;
    for (const Tensor& fast : batch.fast) fast.unsafeGetTensorImpl()->bump_version();
  }
  return sum;
}

}  // namespace lookahead
