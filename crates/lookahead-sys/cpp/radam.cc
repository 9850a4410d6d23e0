// The step of RAdam; the formulas are in `lookahead_core::optimizers::RAdam`.

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_sqrt.h>

#include "moments.h"
#include "rules.h"

namespace lookahead {
namespace {

template <typename T>
struct RAdamPass {
  static LOOKAHEAD_INLINE void run(const RulePart<RAdamNumbers>& part, std::int64_t from, std::int64_t to) {
    using W = at::opmath_type<T>;
    T* __restrict__ weights = static_cast<T*>(part.weights);
    const T* __restrict__ gradients = static_cast<const T*>(part.gradient);
    const RAdamNumbers& numbers = part.numbers;
    T* __restrict__ exp_avg = static_cast<T*>(part.slots[0]);
    T* __restrict__ exp_avg_sq = static_cast<T*>(part.slots[1]);
    const W keep = static_cast<W>(numbers.keep), decay = static_cast<W>(numbers.l2);
    const W share1 = static_cast<W>(1 - numbers.beta1), beta2 = static_cast<W>(numbers.beta2);
    const W share2 = static_cast<W>(1 - numbers.beta2), eps = static_cast<W>(numbers.eps);
    const W rate = static_cast<W>(numbers.rate);
    const bool decays = numbers.l2 != 0;
    const auto step = [&](const auto& denominator) __attribute__((always_inline)) {
      for (std::int64_t i = from; i < to; ++i) {
        const W weight = static_cast<W>(weights[i]);
        const W gradient = static_cast<W>(gradients[i]);
        const W slope = decays ? gradient + decay * weight : gradient;
        const W mean = between(static_cast<W>(exp_avg[i]), slope, share1);
        const W square = beta2 * static_cast<W>(exp_avg_sq[i]) + share2 * slope * slope;
        exp_avg[i] = static_cast<T>(mean);
        exp_avg_sq[i] = static_cast<T>(square);
        weights[i] = static_cast<T>(weight * keep - rate * mean / denominator(square));
      }
    };
    if (numbers.rectified) {
      step([&](W square) __attribute__((always_inline)) { return std::sqrt(square) + eps; });
    } else {
      step([](W) __attribute__((always_inline)) { return W(1); });
    }
  }
};

void radam_foreach(RuleBatch<RAdamNumbers>& batch) {
  const RAdamNumbers& numbers = batch.numbers;
  decay_and_average(batch);
  std::vector<Tensor>& exp_avg = batch.slots[0];
  std::vector<Tensor>& exp_avg_sq = batch.slots[1];
  if (numbers.rectified) {
    std::vector<Tensor> denominator = at::_foreach_sqrt(exp_avg_sq);
    at::_foreach_add_(denominator, numbers.eps);
    at::_foreach_addcdiv_(batch.weights, exp_avg, denominator, -numbers.rate);
  } else {
    at::_foreach_add_(batch.weights, exp_avg, -numbers.rate);
  }
}

}  // namespace

void step_radam(rust::Slice<const TensorRef> tensors, rust::Slice<const RAdamNumbers> numbers, bool foreach) {
  const at::NoGradGuard no_grad;
  RuleStep<RAdamPass, 2, RAdamNumbers>(tensors, numbers, foreach).take(radam_foreach);
}

}  // namespace lookahead
