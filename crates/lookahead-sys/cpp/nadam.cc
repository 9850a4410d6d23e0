// The step of NAdam; the formulas are in `lookahead_core::optimizers::NAdam`.

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_sqrt.h>

#include "moments.h"
#include "rules.h"

namespace lookahead {
namespace {

template <typename T>
struct NAdamPass {
  static LOOKAHEAD_INLINE void run(const RulePart<NAdamNumbers>& part, std::int64_t from, std::int64_t to) {
    using W = at::opmath_type<T>;
    T* __restrict__ weights = static_cast<T*>(part.weights);
    const T* __restrict__ gradients = static_cast<const T*>(part.gradient);
    const NAdamNumbers& numbers = part.numbers;
    T* __restrict__ exp_avg = static_cast<T*>(part.slots[0]);
    T* __restrict__ exp_avg_sq = static_cast<T*>(part.slots[1]);
    const W keep = static_cast<W>(numbers.keep), decay = static_cast<W>(numbers.l2);
    const W share1 = static_cast<W>(1 - numbers.beta1), beta2 = static_cast<W>(numbers.beta2);
    const W share2 = static_cast<W>(1 - numbers.beta2), eps = static_cast<W>(numbers.eps);
    const W correction2 = static_cast<W>(numbers.correction2);
    const W along_gradient = static_cast<W>(numbers.along_gradient), along_mean = static_cast<W>(numbers.along_mean);
    const bool decays = numbers.l2 != 0;
    for (std::int64_t i = from; i < to; ++i) {
      const W weight = static_cast<W>(weights[i]);
      const W gradient = static_cast<W>(gradients[i]);
      const W slope = decays ? gradient + decay * weight : gradient;
      const W mean = between(static_cast<W>(exp_avg[i]), slope, share1);
      const W square = beta2 * static_cast<W>(exp_avg_sq[i]) + share2 * slope * slope;
      exp_avg[i] = static_cast<T>(mean);
      exp_avg_sq[i] = static_cast<T>(square);
      const W denominator = std::sqrt(square / correction2) + eps;
      const W update = (along_gradient * slope + along_mean * mean) / denominator;
      weights[i] = static_cast<T>(weight * keep - update);
    }
  }
};

void nadam_foreach(RuleBatch<NAdamNumbers>& batch) {
  const NAdamNumbers& numbers = batch.numbers;
  decay_and_average(batch);
  std::vector<Tensor>& exp_avg = batch.slots[0];
  std::vector<Tensor>& exp_avg_sq = batch.slots[1];
  std::vector<Tensor> denominator = at::_foreach_div(exp_avg_sq, numbers.correction2);
  at::_foreach_sqrt_(denominator);
  at::_foreach_add_(denominator, numbers.eps);
  at::_foreach_addcdiv_(batch.weights, batch.gradients, denominator, -numbers.along_gradient);
  at::_foreach_addcdiv_(batch.weights, exp_avg, denominator, -numbers.along_mean);
}

}  // namespace

void step_nadam(rust::Slice<const TensorRef> tensors, rust::Slice<const NAdamNumbers> numbers, bool foreach) {
  const at::NoGradGuard no_grad;
  RuleStep<NAdamPass, 2, NAdamNumbers>(tensors, numbers, foreach).take(nadam_foreach);
}

}  // namespace lookahead
