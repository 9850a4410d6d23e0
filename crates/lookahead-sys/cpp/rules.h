// One step of many parameters by the same rule: one parallel loop over all elements on the CPU, foreach operations on
// other devices.
//
// A rule has a struct of numbers, in which parameters may differ, and two forms of the same formula:
//   Pass<T>::run(part, from, to)   moves the elements from..to of one parameter of type T, and computes half precision
//                                  in single precision
//   foreach(batch)                 moves parameters on one device, of one type and with equal numbers
//
// A cautious rule drops the elements of a step that the gradient opposes, and scales up the others. How many are left
// must be known before any moves, so the CPU takes a pass before `Pass`:
//   Agreeing<T>::run(part, from, to)   how many of the elements from..to agree with the gradient
#pragma once

#include <ATen/OpMathType.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_clamp_min.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_reciprocal.h>
#include <ATen/ops/_foreach_sign.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/ScalarType.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "flat.h"
#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"
#include "wide.h"

namespace lookahead {

constexpr std::size_t kMostSlots = 4;

// The least mean of a cautious mask: no step grows by more than its inverse.
constexpr double kLeastMaskMean = 1e-3;

// One parameter with its gradient and slots, in memory of the same order.
template <typename Numbers>
struct RulePart {
  void* weights;
  const void* gradient;
  void* slots[kMostSlots];
  Numbers numbers;
  // Of a cautious rule: the factor of the elements that agree with the gradient.
  double mask;
  at::ScalarType type;
  std::int64_t end;
  void (*pass)(const RulePart& part, std::int64_t from, std::int64_t to);
};

// Parameters for one sequence of foreach calls.
template <typename Numbers>
struct RuleBatch {
  Numbers numbers;
  std::vector<Tensor> weights;
  std::vector<Tensor> gradients;
  std::vector<Tensor> slots[kMostSlots];

  bool takes(const Tensor& parameter, const Numbers& other) const {
    return weights.front().device() == parameter.device() &&
        weights.front().scalar_type() == parameter.scalar_type() && numbers == other;
  }
};

// What `update` is multiplied by in a cautious step: of each tensor, the elements that agree with the gradient, divided
// by their share.
inline std::vector<Tensor> cautious_masks(const std::vector<Tensor>& update, const std::vector<Tensor>& gradients) {
  std::vector<Tensor> masks = at::_foreach_mul(update, gradients);
  at::_foreach_sign_(masks);
  at::_foreach_clamp_min_(masks, 0);
  // In half precision a count would end at a few thousand.
  const bool is_double = masks.front().scalar_type() == at::kDouble;
  std::vector<Tensor> means = at::_foreach_norm(masks, 1, is_double ? at::kDouble : at::kFloat);
  std::vector<at::Scalar> counts;
  counts.reserve(masks.size());
  for (const Tensor& mask : masks) counts.emplace_back(static_cast<double>(std::max<std::int64_t>(mask.numel(), 1)));
  at::_foreach_div_(means, counts);
  at::_foreach_clamp_min_(means, kLeastMaskMean);
  at::_foreach_reciprocal_(means);
  at::_foreach_mul_(masks, means);
  return masks;
}

template <template <typename> class Pass, typename Numbers>
auto rule_pass(at::ScalarType type) {
  using Part = const RulePart<Numbers>&;
  switch (type) {
    case at::kFloat: return fastest<Pass<float>, Part, std::int64_t, std::int64_t>();
    case at::kDouble: return fastest<Pass<double>, Part, std::int64_t, std::int64_t>();
    case at::kBFloat16: return fastest<Pass<at::BFloat16>, Part, std::int64_t, std::int64_t>();
    case at::kHalf: return fastest<Pass<at::Half>, Part, std::int64_t, std::int64_t>();
    default: TORCH_CHECK(false, "There is no step for weights of the type ", type, ".");
  }
}

// Collects the parameters of a step, then takes it.
template <template <typename> class Pass, std::size_t Slots, typename Numbers>
class RuleStep {
  static_assert(Slots <= kMostSlots);

 public:
  // `tensors` has weights, gradient and slots of the first parameter, then those of the second, and so on.
  RuleStep(rust::Slice<const TensorRef> tensors, rust::Slice<const Numbers> numbers, bool foreach) {
    constexpr std::size_t stride = 2 + Slots;
    TORCH_CHECK(tensors.size() == numbers.size() * stride, "The step needs ", stride, " tensors for each of ",
                numbers.size(), " parameters, and got ", tensors.size(), ".");
    parts_.reserve(numbers.size());
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      for (std::size_t s = 0; s < stride; ++s) {
        prefetch(i, numbers.size(), [&](std::size_t at) { return tensors[at * stride + s].tensor; });
      }
      const TensorRef* own = &tensors[i * stride];
      check(own);
      if (own[0].tensor->is_cpu() && !foreach) {
        add_part(own, numbers[i]);
      } else {
        add_to_batch(own, numbers[i]);
      }
    }
  }

  // Sets the mask of each part.
  template <template <typename> class Agreeing>
  void weigh() {
    std::vector<std::atomic<std::int64_t>> agreeing(parts_.size());
    for_each_range(parts_, [&](const RulePart<Numbers>& part, std::int64_t from, std::int64_t to) {
      agreeing[&part - parts_.data()] += rule_pass<Agreeing, Numbers>(part.type)(part, from, to);
    });
    std::int64_t start = 0;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      const double count = static_cast<double>(parts_[i].end - start);
      parts_[i].mask = 1 / std::max(static_cast<double>(agreeing[i]) / count, kLeastMaskMean);
      start = parts_[i].end;
    }
  }

  template <typename Foreach>
  void take(const Foreach& foreach) {
    for_each_range(parts_, [](const RulePart<Numbers>& part, std::int64_t from, std::int64_t to) {
      part.pass(part, from, to);
    });
    for (const auto& [original, copy] : copies_) original.copy_(copy);
    for (RuleBatch<Numbers>& batch : batches_) foreach(batch);
    // Neither the pass nor all of CUDA's foreach operations move version counters. Without that, autograd would run
    // an older graph on the new values.
    for (const Tensor* tensor : written_) tensor->unsafeGetTensorImpl()->bump_version();
  }

 private:
  void check(const TensorRef* own) {
    const Tensor& weights = *own[0].tensor;
    for (std::size_t s = 1; s < 2 + Slots; ++s) {
      const Tensor& other = *own[s].tensor;
      TORCH_CHECK(other.sizes() == weights.sizes(), "A parameter of shape ", weights.sizes(), " has a ",
                  s == 1 ? "gradient" : "state", " of shape ", other.sizes(), ".");
      TORCH_CHECK(other.device() == weights.device() && (s == 1 || other.scalar_type() == weights.scalar_type()),
                  "A parameter of type ", weights.scalar_type(), " on ", weights.device(), " has a ",
                  s == 1 ? "gradient" : "state", " of type ", other.scalar_type(), " on ", other.device(), ".");
      if (s != 1) written_.push_back(&other);
    }
    written_.push_back(&weights);
  }

  // The tensor if a pass can walk over it in the order of `first`, otherwise a copy that it can.
  static Tensor in_order(const Tensor& first, const Tensor& tensor) {
    if (matches(first, tensor) && tensor.scalar_type() == first.scalar_type()) return tensor;
    return at::empty_like(first).copy_(tensor);
  }

  // The same, copied back after the pass.
  Tensor writable(const Tensor& first, const Tensor& tensor) {
    const Tensor used = in_order(first, tensor);
    if (!used.is_same(tensor)) copies_.emplace_back(tensor, used);
    return used;
  }

  void add_part(const TensorRef* own, const Numbers& numbers) {
    const Tensor& weights = *own[0].tensor;
    if (weights.numel() == 0) return;
    const Tensor first = is_dense(weights) ? weights : weights.contiguous();
    if (!first.is_same(weights)) copies_.emplace_back(weights, first);
    const Tensor gradient = in_order(first, *own[1].tensor);
    if (!gradient.is_same(*own[1].tensor)) gradients_.push_back(gradient);
    RulePart<Numbers> part{};
    // Read at each step, because swaps and loads replace the memory.
    part.weights = first.mutable_data_ptr();
    part.gradient = gradient.const_data_ptr();
    for (std::size_t s = 0; s < Slots; ++s) {
      part.slots[s] = writable(first, *own[2 + s].tensor).mutable_data_ptr();
    }
    part.numbers = numbers;
    part.end = (parts_.empty() ? 0 : parts_.back().end) + weights.numel();
    part.type = weights.scalar_type();
    part.pass = rule_pass<Pass, Numbers>(part.type);
    parts_.push_back(part);
  }

  void add_to_batch(const TensorRef* own, const Numbers& numbers) {
    const Tensor& weights = *own[0].tensor;
    auto batch = batches_.rbegin();
    while (batch != batches_.rend() && !batch->takes(weights, numbers)) ++batch;
    if (batch == batches_.rend()) {
      batches_.push_back({numbers, {}, {}, {}});
      batch = batches_.rbegin();
    }
    batch->weights.push_back(weights);
    const Tensor& gradient = *own[1].tensor;
    const bool fits = gradient.scalar_type() == weights.scalar_type();
    batch->gradients.push_back(fits ? gradient : gradient.to(weights.scalar_type()));
    for (std::size_t s = 0; s < Slots; ++s) batch->slots[s].push_back(*own[2 + s].tensor);
  }

  std::vector<RulePart<Numbers>> parts_;
  std::vector<RuleBatch<Numbers>> batches_;
  std::vector<const Tensor*> written_;
  // Originals with the copies that a pass moves instead, and copies of gradients, which must outlive it.
  std::vector<std::pair<Tensor, Tensor>> copies_;
  std::vector<Tensor> gradients_;
};

}  // namespace lookahead
