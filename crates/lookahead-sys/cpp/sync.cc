// The sync of slow and fast weights, over all tensors at once.
//
//   without momentum   φ ← φ + α (θ − φ)                      in the form of `lerp`, exact at θ = φ
//   with momentum μ    d = φ − θ;  v ← μ v + d;  φ ← φ − α u   where u = v, or d + μ v (Nesterov)
//   then               θ ← φ
//
// On the CPU one parallel pass reads and writes each element once: 16 bytes for a float parameter,
// where `lerp_` and then `copy_` move 20. Elsewhere, and for tensors that are not dense, ATen's foreach
// operations do it: on CUDA their number of kernels does not grow with the number of tensors.

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/empty_like.h>

#include <map>
#include <tuple>
#include <vector>

#include "flat.h"
#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"
#include "wide.h"

namespace lookahead {
namespace {

struct Part {
  void* slow;
  void* fast;
  void* velocity;
  double alpha;
  std::int64_t end;
  void (*pass)(const Part& part, const SyncRule& rule, std::int64_t from, std::int64_t to);
};

// S is the slow weights' type, and the one computed in; F the fast weights'.
template <typename S, typename F>
struct Sync {
  static LOOKAHEAD_INLINE void run(const Part& part, const SyncRule& rule, std::int64_t from, std::int64_t to) {
    S* __restrict__ slow = static_cast<S*>(part.slow);
    F* __restrict__ fast = static_cast<F*>(part.fast);
    const S alpha = static_cast<S>(part.alpha);
    const bool restart = rule.restart;
    if (part.velocity != nullptr) {
      S* __restrict__ velocity = static_cast<S*>(part.velocity);
      const S momentum = static_cast<S>(rule.momentum);
      const S along = rule.nesterov ? momentum : S(1);
      const S ahead = rule.nesterov ? S(1) : S(0);
      for (std::int64_t i = from; i < to; ++i) {
        const S difference = slow[i] - static_cast<S>(fast[i]);
        velocity[i] = momentum * velocity[i] + difference;
        slow[i] -= alpha * (along * velocity[i] + ahead * difference);
      }
      if (restart) {
        for (std::int64_t i = from; i < to; ++i) fast[i] = static_cast<F>(slow[i]);
      }
    } else if (part.alpha == 1.0) {
      // θ stays as it is, to the bit: Lookahead is then its inner optimizer.
      for (std::int64_t i = from; i < to; ++i) slow[i] = static_cast<S>(fast[i]);
    } else if (!restart) {
      if (part.alpha < 0.5) {
        for (std::int64_t i = from; i < to; ++i) {
          slow[i] += alpha * (static_cast<S>(fast[i]) - slow[i]);
        }
      } else {
        const S rest = S(1) - alpha;
        for (std::int64_t i = from; i < to; ++i) {
          const S end = static_cast<S>(fast[i]);
          slow[i] = end - rest * (end - slow[i]);
        }
      }
    } else if (part.alpha < 0.5) {
      for (std::int64_t i = from; i < to; ++i) {
        const S next = slow[i] + alpha * (static_cast<S>(fast[i]) - slow[i]);
        slow[i] = next;
        fast[i] = static_cast<F>(next);
      }
    } else {
      // The farther end is the base, as in `lerp`: near α = 1 the result is then near θ.
      const S rest = S(1) - alpha;
      for (std::int64_t i = from; i < to; ++i) {
        const S end = static_cast<S>(fast[i]);
        const S next = end - rest * (end - slow[i]);
        slow[i] = next;
        fast[i] = static_cast<F>(next);
      }
    }
  }
};

using Pass = decltype(Part::pass);

template <typename S, typename F>
Pass pass() {
  return fastest<Sync<S, F>, const Part&, const SyncRule&, std::int64_t, std::int64_t>();
}

// The pass for a pair of element types; null where there is none.
Pass pass_for(at::ScalarType slow, at::ScalarType fast) {
  if (slow == at::kFloat && fast == at::kFloat) return pass<float, float>();
  if (slow == at::kDouble && fast == at::kDouble) return pass<double, double>();
  if (slow == at::kFloat && fast == at::kBFloat16) return pass<float, at::BFloat16>();
  if (slow == at::kFloat && fast == at::kHalf) return pass<float, at::Half>();
  return nullptr;
}

Pass flat_pass(const SyncPair& pair) {
  const Tensor& slow = *pair.slow;
  const Tensor& fast = *pair.fast;
  const auto beside_slow = [&](const Tensor& other) {
    return other.is_cpu() && is_dense(other) && same_order(slow, other);
  };
  const bool flat = slow.is_cpu() && is_dense(slow) && beside_slow(fast) &&
      (pair.velocity == nullptr ||
       (beside_slow(*pair.velocity) && pair.velocity->scalar_type() == slow.scalar_type()));
  return flat ? pass_for(slow.scalar_type(), fast.scalar_type()) : nullptr;
}

// Tensors that one foreach call takes together.
struct Batch {
  std::vector<Tensor> slow;
  std::vector<Tensor> fast;
  std::vector<Tensor> velocity;
};

using BatchKey = std::tuple<c10::DeviceType, c10::DeviceIndex, at::ScalarType, at::ScalarType,
                            double /* alpha */, bool /* velocity */>;

void sync_batch(const BatchKey& key, const Batch& batch, const SyncRule& rule) {
  const auto& [type, index, slow_type, fast_type, alpha, has_velocity] = key;
  if (!has_velocity && alpha == 1.0) {
    at::_foreach_copy_(batch.slow, batch.fast);
    return;
  }
  std::vector<Tensor> wide = batch.fast;
  if (slow_type != fast_type) {
    for (std::size_t i = 0; i < wide.size(); ++i) wide[i] = at::empty_like(batch.slow[i]);
    at::_foreach_copy_(wide, batch.fast);
  }
  if (has_velocity) {
    std::vector<Tensor> difference = at::_foreach_sub(batch.slow, wide);
    at::_foreach_mul_(batch.velocity, rule.momentum);
    at::_foreach_add_(batch.velocity, difference);
    if (rule.nesterov) {
      at::_foreach_add_(difference, batch.velocity, rule.momentum);
      at::_foreach_add_(batch.slow, difference, -alpha);
    } else {
      at::_foreach_add_(batch.slow, batch.velocity, -alpha);
    }
  } else {
    at::_foreach_lerp_(batch.slow, wide, alpha);
  }
  if (rule.restart) at::_foreach_copy_(batch.fast, batch.slow);
}

}  // namespace

void sync(rust::Slice<const SyncPair> pairs, SyncRule rule) {
  const at::NoGradGuard no_grad;
  std::vector<Part> parts;
  parts.reserve(pairs.size());
  std::map<BatchKey, Batch> batches;
  std::int64_t end = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    ask_for(i, pairs.size(), [&](std::size_t at) { return pairs[at].slow; });
    ask_for(i, pairs.size(), [&](std::size_t at) { return pairs[at].fast; });
    const SyncPair& pair = pairs[i];
    const Tensor& slow = *pair.slow;
    const Tensor& fast = *pair.fast;
    const Pass flat = rule.foreach ? nullptr : flat_pass(pair);
    if (flat != nullptr) {
      if (slow.numel() == 0) continue;
      // Read afresh at each sync: swaps and loads replace the memory.
      end += slow.numel();
      void* velocity = pair.velocity == nullptr ? nullptr : pair.velocity->mutable_data_ptr();
      parts.push_back({slow.mutable_data_ptr(), fast.mutable_data_ptr(), velocity, pair.alpha, end, flat});
      // The pass writes behind autograd's back; uncounted, a graph recorded before would run on
      // the new values unnoticed.
      slow.unsafeGetTensorImpl()->bump_version();
      if (rule.restart && (pair.alpha != 1.0 || velocity != nullptr)) {
        fast.unsafeGetTensorImpl()->bump_version();
      }
    } else {
      const BatchKey key{fast.device().type(), fast.device().index(), slow.scalar_type(),
                         fast.scalar_type(),   pair.alpha,            pair.velocity != nullptr};
      Batch& batch = batches[key];
      batch.slow.push_back(slow);
      batch.fast.push_back(fast);
      if (pair.velocity != nullptr) batch.velocity.push_back(*pair.velocity);
    }
  }
  for_each_stretch(parts, [&](const Part& part, std::int64_t from, std::int64_t to) {
    part.pass(part, rule, from, to);
  });
  for (const auto& [key, batch] : batches) {
    sync_batch(key, batch, rule);
    // On CUDA some of the foreach operations do not count what they write (seen: `_foreach_lerp_`).
    for (const Tensor& slow : batch.slow) slow.unsafeGetTensorImpl()->bump_version();
    const bool copied = std::get<4>(key) == 1.0 && batch.velocity.empty();
    if (!rule.restart || copied) continue;
    for (const Tensor& fast : batch.fast) fast.unsafeGetTensorImpl()->bump_version();
  }
}

}  // namespace lookahead
