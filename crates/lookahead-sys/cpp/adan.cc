// The step of Adan; the formulas are in `lookahead_core::optimizers::Adan`.

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/_foreach_sub.h>

#include "rules.h"

namespace lookahead {
namespace {

template <typename T>
struct AdanPass {
  static LOOKAHEAD_INLINE void run(const RulePart<AdanNumbers>& part, std::int64_t from, std::int64_t to) {
    using W = at::opmath_type<T>;
    T* __restrict__ weights = static_cast<T*>(part.weights);
    const T* __restrict__ gradients = static_cast<const T*>(part.gradient);
    const AdanNumbers& numbers = part.numbers;
    T* __restrict__ exp_avg = static_cast<T*>(part.slots[0]);
    T* __restrict__ exp_avg_diff = static_cast<T*>(part.slots[1]);
    T* __restrict__ exp_avg_sq = static_cast<T*>(part.slots[2]);
    T* __restrict__ previous = static_cast<T*>(part.slots[3]);
    const W before = static_cast<W>(numbers.before), after = static_cast<W>(numbers.after);
    const W share1 = static_cast<W>(1 - numbers.beta1), beta2 = static_cast<W>(numbers.beta2);
    const W share2 = static_cast<W>(1 - numbers.beta2), beta3 = static_cast<W>(numbers.beta3);
    const W share3 = static_cast<W>(1 - numbers.beta3), eps = static_cast<W>(numbers.eps);
    const W along_mean = static_cast<W>(numbers.along_mean), along_diff = static_cast<W>(numbers.along_diff);
    const W root3 = static_cast<W>(numbers.root3);
    const auto step = [&](const auto& change) __attribute__((always_inline)) {
      LOOKAHEAD_NO_OVERLAP
      for (std::int64_t i = from; i < to; ++i) {
        const W gradient = static_cast<W>(gradients[i]);
        const W difference = change(gradient, static_cast<W>(previous[i]));
        const W mean = between(static_cast<W>(exp_avg[i]), gradient, share1);
        const W mean_diff = beta2 * static_cast<W>(exp_avg_diff[i]) + share2 * difference;
        const W ahead = beta2 * difference + gradient;
        const W square = beta3 * static_cast<W>(exp_avg_sq[i]) + share3 * ahead * ahead;
        exp_avg[i] = static_cast<T>(mean);
        exp_avg_diff[i] = static_cast<T>(mean_diff);
        exp_avg_sq[i] = static_cast<T>(square);
        previous[i] = gradients[i];
        const W update = (along_mean * mean + along_diff * mean_diff) / (std::sqrt(square) / root3 + eps);
        weights[i] = static_cast<T>((static_cast<W>(weights[i]) * before - update) / after);
      }
    };
    if (numbers.fresh) {
      step([](W, W) __attribute__((always_inline)) { return W(0); });
    } else {
      step([](W gradient, W last) __attribute__((always_inline)) { return gradient - last; });
    }
  }
};

void adan_foreach(RuleBatch<AdanNumbers>& batch) {
  const AdanNumbers& numbers = batch.numbers;
  auto& [exp_avg, exp_avg_diff, exp_avg_sq, previous] = batch.slots;
  const auto& gradients = batch.gradients;
  if (numbers.fresh) at::_foreach_copy_(previous, gradients);
  std::vector<Tensor> difference = at::_foreach_sub(gradients, previous);
  at::_foreach_lerp_(exp_avg, gradients, 1 - numbers.beta1);
  at::_foreach_mul_(exp_avg_diff, numbers.beta2);
  at::_foreach_add_(exp_avg_diff, difference, 1 - numbers.beta2);
  at::_foreach_mul_(difference, numbers.beta2);
  at::_foreach_add_(difference, gradients);
  at::_foreach_mul_(exp_avg_sq, numbers.beta3);
  at::_foreach_addcmul_(exp_avg_sq, difference, difference, 1 - numbers.beta3);
  std::vector<Tensor> denominator = at::_foreach_sqrt(exp_avg_sq);
  at::_foreach_div_(denominator, numbers.root3);
  at::_foreach_add_(denominator, numbers.eps);
  if (numbers.before != 1) at::_foreach_mul_(batch.weights, numbers.before);
  at::_foreach_addcdiv_(batch.weights, exp_avg, denominator, -numbers.along_mean);
  at::_foreach_addcdiv_(batch.weights, exp_avg_diff, denominator, -numbers.along_diff);
  if (numbers.after != 1) at::_foreach_div_(batch.weights, numbers.after);
  at::_foreach_copy_(previous, gradients);
}

}  // namespace

void step_adan(rust::Slice<const TensorRef> tensors, rust::Slice<const AdanNumbers> numbers, bool foreach) {
  const at::NoGradGuard no_grad;
  RuleStep<AdanPass, 4, AdanNumbers>(tensors, numbers, foreach).take(adan_foreach);
}

}  // namespace lookahead
