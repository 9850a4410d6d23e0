// The step of Adagrad; the formulas are in `lookahead_core::optimizers::Adagrad`.

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_sqrt.h>

#include "rules.h"

namespace lookahead {
namespace {

template <typename T>
struct AdagradPass {
  static LOOKAHEAD_INLINE void run(const RulePart<AdagradNumbers>& part, std::int64_t from, std::int64_t to) {
    using W = at::opmath_type<T>;
    T* __restrict__ weights = static_cast<T*>(part.weights);
    const T* __restrict__ gradients = static_cast<const T*>(part.gradient);
    const AdagradNumbers& numbers = part.numbers;
    T* __restrict__ sum = static_cast<T*>(part.slots[0]);
    const W decay = static_cast<W>(numbers.l2), initial = static_cast<W>(numbers.initial);
    const W rate = static_cast<W>(numbers.rate), eps = static_cast<W>(numbers.eps);
    const bool decays = numbers.l2 != 0;
    for (std::int64_t i = from; i < to; ++i) {
      const W weight = static_cast<W>(weights[i]);
      const W gradient = static_cast<W>(gradients[i]);
      const W slope = decays ? gradient + decay * weight : gradient;
      const W next = static_cast<W>(sum[i]) + initial + slope * slope;
      sum[i] = static_cast<T>(next);
      weights[i] = static_cast<T>(weight - rate * slope / (std::sqrt(next) + eps));
    }
  }
};

void adagrad_foreach(RuleBatch<AdagradNumbers>& batch) {
  const AdagradNumbers& numbers = batch.numbers;
  std::vector<Tensor>& sum = batch.slots[0];
  if (numbers.l2 != 0) batch.gradients = at::_foreach_add(batch.gradients, batch.weights, numbers.l2);
  if (numbers.initial != 0) at::_foreach_add_(sum, numbers.initial);
  at::_foreach_addcmul_(sum, batch.gradients, batch.gradients, 1);
  std::vector<Tensor> denominator = at::_foreach_sqrt(sum);
  at::_foreach_add_(denominator, numbers.eps);
  at::_foreach_addcdiv_(batch.weights, batch.gradients, denominator, -numbers.rate);
}

}  // namespace

void step_adagrad(rust::Slice<const TensorRef> tensors, rust::Slice<const AdagradNumbers> numbers, bool foreach) {
  const at::NoGradGuard no_grad;
  RuleStep<AdagradPass, 1, AdagradNumbers>(tensors, numbers, foreach).take(adagrad_foreach);
}

}  // namespace lookahead
