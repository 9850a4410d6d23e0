// Subclasses of libtorch's optimizers with the same options, state and results, stepping with kernels that take
// all parameters together: on the CPU a pass of our own (step.h), on a GPU ATen's fused kernels, and for RMSprop, which
// has none, foreach operations.
//
// libtorch's own step takes what a kernel can't: sparse gradients without momentum, tensors that are not dense,
// and reduced precision on the CPU (see `fusable`).

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>

#include <cmath>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"
#include "step_batch.h"

namespace lookahead {
namespace {

using torch::optim::OptimizerParamGroup;

// Device, element type, and whether the slots are new.
using BatchKey = std::tuple<c10::DeviceType, c10::DeviceIndex, at::ScalarType, bool>;
using Batches = std::map<BatchKey, StepBatch>;

BatchKey key_of(const Tensor& parameter, bool fresh) {
  const c10::Device device = parameter.device();
  return {device.type(), device.index(), parameter.scalar_type(), fresh};
}

// Whether the kernels can take a parameter with this gradient. They walk over memory, so all tensors of a
// parameter must be dense and have the same order. In bfloat16 and half precision on the CPU, the kernels of some
// versions of ATen skip parameters, so libtorch's own step takes these.
bool fusable(const Tensor& parameter, const Tensor& gradient, at::Layout layout = at::kStrided) {
  const bool wide = parameter.scalar_type() == at::kFloat || parameter.scalar_type() == at::kDouble;
  return gradient.layout() == layout && is_dense(parameter) &&
      gradient.scalar_type() == parameter.scalar_type() && gradient.device() == parameter.device() &&
      (wide || !parameter.is_cpu());
}

// libtorch's own steps accept complex variables, but only SGD's agrees with PyTorch's.
void refuse_complex(const Tensor& parameter) {
  TORCH_CHECK(!parameter.is_complex(), "Only SGD supports complex variables, and this one has the shape ", parameter.sizes(), ".");
}

bool fits(const Tensor& slot, const Tensor& parameter) {
  return slot.scalar_type() == parameter.scalar_type() && slot.device() == parameter.device() &&
      is_dense(slot) && same_order(slot, parameter);
}

// The gradient in the parameter's order; a copy if autograd gave it in another.
Tensor in_order(const Tensor& gradient, const Tensor& parameter) {
  if (is_dense(gradient) && same_order(gradient, parameter)) return gradient;
  Tensor copy = at::empty_like(parameter);
  copy.copy_(gradient);
  return copy;
}

// The loss, if a closure computes it.
Tensor evaluate(const torch::optim::Optimizer::LossClosure& closure) {
  if (closure == nullptr) return {};
  const at::AutoGradMode enable(true);
  return closure();
}

// Steps the parameters that have gradients. `Base::step` takes those that the kernels can't (see `can_take`)
// first, while the gradients of all others are hidden. Only then `take` gets the others, so that an error of
// libtorch leaves their state unchanged. A parameter that is listed twice steps twice in libtorch, so `Base`
// takes it too.
template <typename Base, typename Derived, typename CanTake, typename Take>
void step_all(Derived& optimizer, const CanTake& can_take, const Take& take) {
  optimizer.repeated.update(optimizer);
  std::vector<std::pair<OptimizerParamGroup*, Tensor*>> taken;
  bool left_over = false;
  for (OptimizerParamGroup& group : optimizer.param_groups()) {
    std::vector<Tensor>& parameters = group.params();
    taken.reserve(taken.size() + parameters.size());
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      prefetch(i, parameters.size(), [&](std::size_t at) { return &parameters[at]; });
      Tensor& parameter = parameters[i];
      const Tensor& gradient = parameter.grad();
      // A frozen variable may have a gradient from an earlier pass.
      if (!gradient.defined() || !parameter.requires_grad()) continue;
      if (!optimizer.repeated.contains(parameter) && can_take(group, parameter, gradient)) {
        taken.emplace_back(&group, &parameter);
      } else {
        left_over = true;
      }
    }
  }
  if (left_over) {
    std::vector<std::pair<Tensor, Tensor>> hidden;
    auto next = taken.begin();
    for (OptimizerParamGroup& group : optimizer.param_groups()) {
      for (Tensor& parameter : group.params()) {
        const bool is_taken = next != taken.end() && next->second == &parameter;
        if (is_taken) ++next;
        const Tensor gradient = parameter.grad();
        if (!gradient.defined() || !(is_taken || !parameter.requires_grad())) continue;
        hidden.emplace_back(parameter, gradient);
        parameter.mutable_grad() = Tensor();
      }
    }
    const auto put_back = [&] {
      for (auto& [parameter, gradient] : hidden) parameter.mutable_grad() = gradient;
    };
    try {
      optimizer.Base::step();
    } catch (...) {
      put_back();
      throw;
    }
    put_back();
  }
  for (auto& [group, parameter] : taken) take(*group, *parameter, parameter->grad());
}

template <typename State, typename Optimizer>
State* state_of(Optimizer& optimizer, const Tensor& parameter) {
  const auto found = optimizer.state().find(parameter.unsafeGetTensorImpl());
  return found == optimizer.state().end() ? nullptr : static_cast<State*>(found->second.get());
}

template <typename State, typename Optimizer>
State& make_state(Optimizer& optimizer, const Tensor& parameter) {
  auto made = std::make_unique<State>();
  State& state = *made;
  optimizer.state()[parameter.unsafeGetTensorImpl()] = std::move(made);
  return state;
}

class FusedSgd : public torch::optim::SGD, public Fused {
 public:
  using SGD::SGD;

  Tensor step(LossClosure closure = nullptr) override {
    const at::NoGradGuard no_grad;
    const Tensor loss = evaluate(closure);
    std::map<const OptimizerParamGroup*, Batches> all;
    using State = torch::optim::SGDParamState;
    const auto momentum_of = [](const OptimizerParamGroup& group) {
      return static_cast<const torch::optim::SGDOptions&>(group.options()).momentum();
    };
    const auto can_take = [&](const OptimizerParamGroup& group, const Tensor& parameter,
                              const Tensor& gradient) {
      // Momentum buffers are always dense, so that they can be saved and pulled back.
      const bool becomes_dense = gradient.is_sparse() && momentum_of(group) != 0 &&
          static_cast<const torch::optim::SGDOptions&>(group.options()).weight_decay() == 0;
      if (!fusable(parameter, gradient, becomes_dense ? at::kSparse : at::kStrided)) return false;
      const State* state = state_of<State>(*this, parameter);
      const bool has_buffer = momentum_of(group) != 0 && state != nullptr && state->momentum_buffer().defined();
      return !has_buffer || fits(state->momentum_buffer(), parameter);
    };
    step_all<SGD>(*this, can_take, [&](OptimizerParamGroup& group, Tensor& parameter, const Tensor& gradient) {
      Tensor buffer;
      bool fresh = false;
      if (momentum_of(group) != 0) {
        State* state = state_of<State>(*this, parameter);
        if (state == nullptr) state = &make_state<State>(*this, parameter);
        fresh = !state->momentum_buffer().defined();
        if (fresh) state->momentum_buffer(at::zeros_like(parameter));
        buffer = state->momentum_buffer();
      }
      StepBatch& batch = all[&group][key_of(parameter, fresh)];
      batch.parameters.push_back(parameter);
      batch.gradients.push_back(in_order(gradient.is_sparse() ? gradient.to_dense() : gradient, parameter));
      if (buffer.defined()) batch.slots[0].push_back(buffer);
    });
    for (auto& [group, batches] : all) {
      const auto& options = static_cast<const torch::optim::SGDOptions&>(group->options());
      for (auto& [key, batch] : batches) {
        if (std::get<0>(key) == c10::DeviceType::CPU) {
          const SgdRule rule{options.lr(),           options.momentum(), options.dampening(),
                             options.weight_decay(), options.nesterov(), std::get<3>(key)};
          step_on_cpu<SgdPass>(batch, std::get<2>(key), rule, look);
          continue;
        }
        at::_fused_sgd_(batch.parameters, batch.gradients, batch.slots[0], options.weight_decay(),
                        options.momentum(), options.lr(), options.dampening(), options.nesterov(),
                        /*maximize=*/false, /*is_first_step=*/std::get<3>(key));
        count_writes(batch);
      }
    }
    return loss;
  }
};

// On the CPU also how many steps the parameters have taken, on which Adam's numbers depend; 0 elsewhere.
using AdamBatches = std::map<std::pair<BatchKey, std::int64_t>, StepBatch>;

template <typename Options>
AdamRule adam_rule(const Options& options, std::int64_t step, bool decoupled) {
  const auto [beta1, beta2] = options.betas();
  const double count = static_cast<double>(step);
  const double decay = options.weight_decay();
  return {options.lr() / (1 - std::pow(beta1, count)),
          decoupled ? 1 - options.lr() * decay : 1,
          decoupled ? 0 : decay,
          beta1,
          beta2,
          std::sqrt(1 - std::pow(beta2, count)),
          options.eps()};
}

// Adam and AdamW differ in the weight decay: AdamW's is `decoupled`. `kernel` is the one of other devices.
template <typename Base, typename Options, typename State, typename Adaptive, typename Kernel>
Tensor adam_step(Adaptive& optimizer, const torch::optim::Optimizer::LossClosure& closure, bool decoupled,
                 const Kernel& kernel) {
  const at::NoGradGuard no_grad;
  const Tensor loss = evaluate(closure);
  std::map<const OptimizerParamGroup*, AdamBatches> all;
  // The kernels read step counts from tensors; parameters with equal counts share one.
  std::map<std::pair<BatchKey, std::int64_t>, Tensor> ages;
  const auto amsgrad_of = [](const OptimizerParamGroup& group) {
    return static_cast<const Options&>(group.options()).amsgrad();
  };
  const auto can_take = [&](const OptimizerParamGroup& group, const Tensor& parameter, const Tensor& gradient) {
    refuse_complex(parameter);
    if (!fusable(parameter, gradient)) return false;
    const State* state = state_of<State>(optimizer, parameter);
    return state == nullptr ||
        (fits(state->exp_avg(), parameter) && fits(state->exp_avg_sq(), parameter) &&
         (!amsgrad_of(group) || fits(state->max_exp_avg_sq(), parameter)));
  };
  step_all<Base>(optimizer, can_take, [&](OptimizerParamGroup& group, Tensor& parameter, const Tensor& gradient) {
    const bool amsgrad = amsgrad_of(group);
    auto* state = state_of<State>(optimizer, parameter);
    if (state == nullptr) {
      state = &make_state<State>(optimizer, parameter);
      state->step(0);
      state->exp_avg(at::zeros_like(parameter));
      state->exp_avg_sq(at::zeros_like(parameter));
      if (amsgrad) state->max_exp_avg_sq(at::zeros_like(parameter));
    }
    state->step(state->step() + 1);
    const BatchKey key = key_of(parameter, false);
    const bool on_cpu = parameter.is_cpu();
    StepBatch& batch = all[&group][{key, on_cpu ? state->step() : 0}];
    if (!on_cpu) {
      Tensor& age = ages[{key, state->step()}];
      if (!age.defined()) {
        age = at::full(at::IntArrayRef{}, static_cast<double>(state->step()),
                       parameter.options().dtype(at::kFloat));
      }
      batch.steps.push_back(age);
    }
    batch.parameters.push_back(parameter);
    batch.gradients.push_back(in_order(gradient, parameter));
    batch.slots[0].push_back(state->exp_avg());
    batch.slots[1].push_back(state->exp_avg_sq());
    if (amsgrad) batch.slots[2].push_back(state->max_exp_avg_sq());
  });
  for (auto& [group, batches] : all) {
    const auto& options = static_cast<const Options&>(group->options());
    const auto [beta1, beta2] = options.betas();
    for (auto& [key, batch] : batches) {
      const auto& [of, step] = key;
      if (std::get<0>(of) == c10::DeviceType::CPU) {
        step_on_cpu<AdamPass>(batch, std::get<2>(of), adam_rule(options, step, decoupled), optimizer.look);
        continue;
      }
      kernel(batch.parameters, batch.gradients, batch.slots[0], batch.slots[1], batch.slots[2],
             batch.steps, options.lr(), beta1, beta2, options.weight_decay(), options.eps(),
             options.amsgrad());
      count_writes(batch);
    }
  }
  return loss;
}

class FusedAdam : public torch::optim::Adam, public Fused {
 public:
  using Adam::Adam;

  Tensor step(LossClosure closure = nullptr) override {
    return adam_step<Adam, torch::optim::AdamOptions, torch::optim::AdamParamState>(
        *this, closure, false, [](auto&&... args) { at::_fused_adam_(args..., /*maximize=*/false); });
  }
};

class FusedAdamW : public torch::optim::AdamW, public Fused {
 public:
  using AdamW::AdamW;

  Tensor step(LossClosure closure = nullptr) override {
    return adam_step<AdamW, torch::optim::AdamWOptions, torch::optim::AdamWParamState>(
        *this, closure, true, [](auto&&... args) { at::_fused_adamw_(args..., /*maximize=*/false); });
  }
};

class FusedRmsProp : public torch::optim::RMSprop, public Fused {
 public:
  using RMSprop::RMSprop;

  Tensor step(LossClosure closure = nullptr) override {
    const at::NoGradGuard no_grad;
    const Tensor loss = evaluate(closure);
    using State = torch::optim::RMSpropParamState;
    std::map<const OptimizerParamGroup*, Batches> all;
    const auto options_of = [](const OptimizerParamGroup& group) -> const torch::optim::RMSpropOptions& {
      return static_cast<const torch::optim::RMSpropOptions&>(group.options());
    };
    const auto can_take = [&](const OptimizerParamGroup& group, const Tensor& parameter,
                              const Tensor& gradient) {
      refuse_complex(parameter);
      if (!fusable(parameter, gradient)) return false;
      const State* state = state_of<State>(*this, parameter);
      if (state == nullptr) return true;
      const auto& options = options_of(group);
      const Tensor& momentum = state->momentum_buffer();
      return fits(state->square_avg(), parameter) &&
          (!options.centered() || fits(state->grad_avg(), parameter)) &&
          (options.momentum() <= 0 || !momentum.defined() || fits(momentum, parameter));
    };
    step_all<RMSprop>(*this, can_take, [&](OptimizerParamGroup& group, Tensor& parameter, const Tensor& gradient) {
      const auto& options = options_of(group);
      auto* state = state_of<State>(*this, parameter);
      if (state == nullptr) {
        state = &make_state<State>(*this, parameter);
        state->step(0);
        state->square_avg(at::zeros_like(parameter));
        if (options.centered()) state->grad_avg(at::zeros_like(parameter));
      }
      if (options.momentum() > 0 && !state->momentum_buffer().defined()) {
        state->momentum_buffer(at::zeros_like(parameter));
      }
      state->step(state->step() + 1);
      StepBatch& batch = all[&group][key_of(parameter, false)];
      batch.parameters.push_back(parameter);
      batch.gradients.push_back(in_order(gradient, parameter));
      batch.slots[0].push_back(state->square_avg());
      if (options.momentum() > 0) batch.slots[1].push_back(state->momentum_buffer());
      if (options.centered()) batch.slots[2].push_back(state->grad_avg());
    });
    for (auto& [group, batches] : all) {
      const auto& options = static_cast<const torch::optim::RMSpropOptions&>(group->options());
      for (auto& [key, batch] : batches) {
        if (std::get<0>(key) == c10::DeviceType::CPU) {
          const RmsPropRule rule{options.lr(), options.alpha(), options.eps(), options.weight_decay(),
                                 options.momentum()};
          step_on_cpu<RmsPropPass>(batch, std::get<2>(key), rule, look);
        } else {
          step_batch(options, batch);
          count_writes(batch);
        }
      }
    }
    return loss;
  }

 private:
  static void step_batch(const torch::optim::RMSpropOptions& options, StepBatch& batch) {
    auto& [parameters, gradients, slots, steps] = batch;
    auto& [square_avg, momentum_buffer, grad_avg] = slots;
    if (options.weight_decay() != 0) {
      gradients = at::_foreach_add(gradients, parameters, options.weight_decay());
    }
    at::_foreach_mul_(square_avg, options.alpha());
    at::_foreach_addcmul_(square_avg, gradients, gradients, 1 - options.alpha());
    std::vector<Tensor> denominator;
    if (options.centered()) {
      at::_foreach_mul_(grad_avg, options.alpha());
      at::_foreach_add_(grad_avg, gradients, 1 - options.alpha());
      denominator = at::_foreach_addcmul(square_avg, grad_avg, grad_avg, -1);
      at::_foreach_sqrt_(denominator);
    } else {
      denominator = at::_foreach_sqrt(square_avg);
    }
    at::_foreach_add_(denominator, options.eps());
    if (options.momentum() > 0) {
      at::_foreach_mul_(momentum_buffer, options.momentum());
      at::_foreach_addcdiv_(momentum_buffer, gradients, denominator);
      at::_foreach_add_(parameters, momentum_buffer, -options.lr());
    } else {
      at::_foreach_addcdiv_(parameters, gradients, denominator, -options.lr());
    }
  }
};

// tch builds its optimizers with one group and no parameters.
std::vector<Tensor> none() { return {}; }

}  // namespace

std::int8_t optimizer_step_and_look(Optimizer& optimizer) {
  auto* fused = dynamic_cast<Fused*>(&optimizer);
  if (fused == nullptr) {
    optimizer.step();
    return -1;
  }
  Look& look = fused->look;
  look.wanted = true;
  look.finite = true;
  look.seen.clear();
  try {
    optimizer.step();
  } catch (...) {
    look.wanted = false;
    throw;
  }
  look.wanted = false;
  if (!look.finite) return 0;
  // Those that another kernel has stepped, or none: seen ones are in the same order.
  std::vector<TensorRef> rest;
  auto seen = look.seen.begin();
  for (const OptimizerParamGroup& group : optimizer.param_groups()) {
    for (const Tensor& parameter : group.params()) {
      if (seen != look.seen.end() && *seen == parameter.unsafeGetTensorImpl()) {
        ++seen;
      } else if (parameter.requires_grad()) {
        rest.push_back({&parameter});
      }
    }
  }
  return all_finite(rust::Slice<const TensorRef>(rest.data(), rest.size()), false) ? 1 : 0;
}

std::unique_ptr<Optimizer> fused_sgd(double lr, double momentum, double dampening, double weight_decay,
                                     bool nesterov) {
  auto options = torch::optim::SGDOptions(lr).momentum(momentum).dampening(dampening);
  return std::make_unique<FusedSgd>(none(), options.weight_decay(weight_decay).nesterov(nesterov));
}

std::unique_ptr<Optimizer> fused_adam(double lr, double beta1, double beta2, double weight_decay, double eps,
                                      bool amsgrad) {
  auto options = torch::optim::AdamOptions(lr).betas({beta1, beta2}).weight_decay(weight_decay);
  return std::make_unique<FusedAdam>(none(), options.eps(eps).amsgrad(amsgrad));
}

std::unique_ptr<Optimizer> fused_adamw(double lr, double beta1, double beta2, double weight_decay, double eps,
                                       bool amsgrad) {
  auto options = torch::optim::AdamWOptions(lr).betas({beta1, beta2}).weight_decay(weight_decay);
  return std::make_unique<FusedAdamW>(none(), options.eps(eps).amsgrad(amsgrad));
}

std::unique_ptr<Optimizer> fused_rmsprop(double lr, double alpha, double eps, double weight_decay, double momentum,
                                         bool centered) {
  auto options = torch::optim::RMSpropOptions(lr).alpha(alpha).eps(eps).weight_decay(weight_decay);
  return std::make_unique<FusedRmsProp>(none(), options.momentum(momentum).centered(centered));
}

}  // namespace lookahead
