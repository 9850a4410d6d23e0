// The step of cautious Adam; the formulas are in `lookahead_core::optimizers::CautiousAdam`.

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>

#include "moments.h"
#include "rules.h"

namespace lookahead {
namespace {

template <typename T>
struct CautiousAdamAgreeing {
  static LOOKAHEAD_INLINE std::int64_t run(const RulePart<CAdamNumbers>& part, std::int64_t from,
                                           std::int64_t to) {
    using W = at::opmath_type<T>;
    const T* __restrict__ weights = static_cast<const T*>(part.weights);
    const T* __restrict__ gradients = static_cast<const T*>(part.gradient);
    const T* __restrict__ exp_avg = static_cast<const T*>(part.slots[0]);
    const W decay = static_cast<W>(part.numbers.l2), share1 = static_cast<W>(1 - part.numbers.beta1);
    const bool decays = part.numbers.l2 != 0;
    std::int64_t count = 0;
    for (std::int64_t i = from; i < to; ++i) {
      const W gradient = static_cast<W>(gradients[i]);
      const W slope = decays ? gradient + decay * static_cast<W>(weights[i]) : gradient;
      count += between(static_cast<W>(exp_avg[i]), slope, share1) * slope > 0;
    }
    return count;
  }
};

template <typename T>
struct CautiousAdamPass {
  static LOOKAHEAD_INLINE void run(const RulePart<CAdamNumbers>& part, std::int64_t from, std::int64_t to) {
    using W = at::opmath_type<T>;
    T* __restrict__ weights = static_cast<T*>(part.weights);
    const T* __restrict__ gradients = static_cast<const T*>(part.gradient);
    T* __restrict__ exp_avg = static_cast<T*>(part.slots[0]);
    T* __restrict__ exp_avg_sq = static_cast<T*>(part.slots[1]);
    const CAdamNumbers& numbers = part.numbers;
    const W keep = static_cast<W>(numbers.keep), rate = static_cast<W>(numbers.rate);
    const W decay = static_cast<W>(numbers.l2), share1 = static_cast<W>(1 - numbers.beta1);
    const W beta2 = static_cast<W>(numbers.beta2), share2 = static_cast<W>(1 - numbers.beta2);
    const W correction2 = static_cast<W>(numbers.correction2), eps = static_cast<W>(numbers.eps);
    const W mask = static_cast<W>(part.mask);
    const bool decays = numbers.l2 != 0;
    for (std::int64_t i = from; i < to; ++i) {
      const W weight = static_cast<W>(weights[i]), gradient = static_cast<W>(gradients[i]);
      const W slope = decays ? gradient + decay * weight : gradient;
      const W mean = between(static_cast<W>(exp_avg[i]), slope, share1);
      const W square = beta2 * static_cast<W>(exp_avg_sq[i]) + share2 * slope * slope;
      // NaN times 0 is NaN, so that a broken gradient is noticed.
      const W update = mean * (mean * slope > 0 ? mask : W(0)) / (std::sqrt(square / correction2) + eps);
      weights[i] = static_cast<T>(weight * keep - rate * update);
      exp_avg[i] = static_cast<T>(mean);
      exp_avg_sq[i] = static_cast<T>(square);
    }
  }
};

void cautious_adam_foreach(RuleBatch<CAdamNumbers>& batch) {
  const CAdamNumbers& numbers = batch.numbers;
  std::vector<Tensor>& exp_avg = batch.slots[0];
  std::vector<Tensor>& exp_avg_sq = batch.slots[1];
  decay_and_average(batch);
  std::vector<Tensor> update = cautious_masks(exp_avg, batch.gradients);
  at::_foreach_mul_(update, exp_avg);
  std::vector<Tensor> denominator = at::_foreach_div(exp_avg_sq, numbers.correction2);
  at::_foreach_sqrt_(denominator);
  at::_foreach_add_(denominator, numbers.eps);
  at::_foreach_addcdiv_(batch.weights, update, denominator, -numbers.rate);
}

}  // namespace

void step_cadam(rust::Slice<const TensorRef> tensors, rust::Slice<const CAdamNumbers> numbers,
                bool foreach) {
  const at::NoGradGuard no_grad;
  RuleStep<CautiousAdamPass, 2, CAdamNumbers> step(tensors, numbers, foreach);
  step.weigh<CautiousAdamAgreeing>();
  step.take(cautious_adam_foreach);
}

}  // namespace lookahead
