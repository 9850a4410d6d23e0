// The step of Lion; the formulas are in `lookahead_core::optimizers::Lion`.

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sign.h>

#include <algorithm>

#include "rules.h"

namespace lookahead {
namespace {

// The direction of a step that is not cautious.
template <typename W>
LOOKAHEAD_INLINE W lion_sign(W mean, W gradient, W share1) {
  const W ahead = between(mean, gradient, share1);
  return static_cast<W>(ahead > 0) - static_cast<W>(ahead < 0);
}

template <typename T>
struct LionAgreeing {
  static LOOKAHEAD_INLINE std::int64_t run(const RulePart<LionNumbers>& part, std::int64_t from, std::int64_t to) {
    using W = at::opmath_type<T>;
    if (!part.numbers.cautious) return 0;
    const T* __restrict__ gradients = static_cast<const T*>(part.gradient);
    const T* __restrict__ exp_avg = static_cast<const T*>(part.slots[0]);
    const W share1 = static_cast<W>(1 - part.numbers.beta1);
    std::int64_t count = 0;
    for (std::int64_t i = from; i < to; ++i) {
      const W gradient = static_cast<W>(gradients[i]);
      count += lion_sign(static_cast<W>(exp_avg[i]), gradient, share1) * gradient > 0;
    }
    return count;
  }
};

template <typename T>
struct LionPass {
  static LOOKAHEAD_INLINE void run(const RulePart<LionNumbers>& part, std::int64_t from, std::int64_t to) {
    using W = at::opmath_type<T>;
    T* __restrict__ weights = static_cast<T*>(part.weights);
    const T* __restrict__ gradients = static_cast<const T*>(part.gradient);
    T* __restrict__ exp_avg = static_cast<T*>(part.slots[0]);
    const W rate = static_cast<W>(part.numbers.learning_rate), keep = static_cast<W>(part.numbers.keep);
    const W share1 = static_cast<W>(1 - part.numbers.beta1), share2 = static_cast<W>(1 - part.numbers.beta2);
    const bool cautious = part.numbers.cautious;
    const W mask = static_cast<W>(part.mask);
    for (std::int64_t i = from; i < to; ++i) {
      const W gradient = static_cast<W>(gradients[i]), mean = static_cast<W>(exp_avg[i]);
      W sign = lion_sign(mean, gradient, share1);
      if (cautious) sign *= sign * gradient > 0 ? mask : W(0);
      // The sign of NaN is 0: without the second term a broken gradient would leave no trace in the weights.
      const W update = sign + W(0) * gradient;
      weights[i] = static_cast<T>(static_cast<W>(weights[i]) * keep - rate * update);
      exp_avg[i] = static_cast<T>(between(mean, gradient, share2));
    }
  }
};

void lion_foreach(RuleBatch<LionNumbers>& batch) {
  const LionNumbers& numbers = batch.numbers;
  std::vector<Tensor> update = at::_foreach_lerp(batch.slots[0], batch.gradients, 1 - numbers.beta1);
  at::_foreach_sign_(update);
  if (numbers.cautious) at::_foreach_mul_(update, cautious_masks(update, batch.gradients));
  at::_foreach_add_(update, batch.gradients, 0);
  if (numbers.keep != 1) at::_foreach_mul_(batch.weights, numbers.keep);
  at::_foreach_add_(batch.weights, update, -numbers.learning_rate);
  at::_foreach_lerp_(batch.slots[0], batch.gradients, 1 - numbers.beta2);
}

}  // namespace

void step_lion(rust::Slice<const TensorRef> tensors, rust::Slice<const LionNumbers> numbers, bool foreach) {
  const at::NoGradGuard no_grad;
  RuleStep<LionPass, 1, LionNumbers> step(tensors, numbers, foreach);
  if (std::any_of(numbers.begin(), numbers.end(), [](const LionNumbers& own) { return own.cautious; })) {
    step.weigh<LionAgreeing>();
  }
  step.take(lion_foreach);
}

}  // namespace lookahead
