// What the foreach steps of cautious Adam, NAdam and RAdam begin with: weight decay, and the first and the second moment of the gradient.
#pragma once

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>

#include "rules.h"

namespace lookahead {

// The moments are the first two slots.
template <typename Numbers>
void decay_and_average(RuleBatch<Numbers>& batch) {
  const Numbers& numbers = batch.numbers;
  std::vector<Tensor>& exp_avg = batch.slots[0];
  std::vector<Tensor>& exp_avg_sq = batch.slots[1];
  if (numbers.l2 != 0) batch.gradients = at::_foreach_add(batch.gradients, batch.weights, numbers.l2);
  if (numbers.keep != 1) at::_foreach_mul_(batch.weights, numbers.keep);
  at::_foreach_lerp_(exp_avg, batch.gradients, 1 - numbers.beta1);
  at::_foreach_mul_(exp_avg_sq, numbers.beta2);
  at::_foreach_addcmul_(exp_avg_sq, batch.gradients, batch.gradients, 1 - numbers.beta2);
}

}  // namespace lookahead
