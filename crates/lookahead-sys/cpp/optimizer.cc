// The state of libtorch's optimizers: momentum buffers, moments and step counts.
//
// libtorch keys an optimizer's state by the parameter's identity (its TensorImpl), and has a struct for each kind
// of optimizer. Here a parameter's state is a step count and a few numbered slots, each a tensor or nothing;
// src/optimizer.rs names the slots.

#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>

#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

namespace lookahead {
namespace {

using torch::optim::AdamParamState;
using torch::optim::AdamWParamState;
using torch::optim::OptimizerParamState;
using torch::optim::RMSpropParamState;
using torch::optim::SGDParamState;

void* key(const Tensor& parameter) { return parameter.unsafeGetTensorImpl(); }

OptimizerParamState* find_state(const Optimizer& optimizer, const Tensor& parameter) {
  const auto& states = optimizer.state();
  const auto found = states.find(key(parameter));
  return found == states.end() ? nullptr : found->second.get();
}

template <typename AdamLike>
Tensor* adam_slot(AdamLike& state, std::size_t slot) {
  switch (slot) {
    case 0: return &state.exp_avg();
    case 1: return &state.exp_avg_sq();
    case 2: return &state.max_exp_avg_sq();
  }
  return nullptr;
}

Tensor& slot_of(OptimizerParamState& state, std::size_t slot) {
  Tensor* found = nullptr;
  if (auto* sgd = dynamic_cast<SGDParamState*>(&state)) {
    found = slot == 0 ? &sgd->momentum_buffer() : nullptr;
  } else if (auto* adam = dynamic_cast<AdamParamState*>(&state)) {
    found = adam_slot(*adam, slot);
  } else if (auto* adamw = dynamic_cast<AdamWParamState*>(&state)) {
    found = adam_slot(*adamw, slot);
  } else if (auto* rmsprop = dynamic_cast<RMSpropParamState*>(&state)) {
    switch (slot) {
      case 0: found = &rmsprop->square_avg(); break;
      case 1: found = &rmsprop->momentum_buffer(); break;
      case 2: found = &rmsprop->grad_avg(); break;
    }
  }
  if (found == nullptr) {
    throw std::invalid_argument("This optimizer has no state slot " + std::to_string(slot) + ".");
  }
  return *found;
}

// Calls `use` with the options in their own type, if it is a known one. `Options` may be const.
template <typename Options, typename Use>
bool with_options(Options& options, Use use) {
  const auto try_as = [&](auto* typed) {
    if (typed != nullptr) use(*typed);
    return typed != nullptr;
  };
  using torch::optim::AdamOptions;
  using torch::optim::AdamWOptions;
  using torch::optim::RMSpropOptions;
  using torch::optim::SGDOptions;
  if constexpr (std::is_const_v<Options>) {
    return try_as(dynamic_cast<const SGDOptions*>(&options)) ||
        try_as(dynamic_cast<const AdamOptions*>(&options)) ||
        try_as(dynamic_cast<const AdamWOptions*>(&options)) ||
        try_as(dynamic_cast<const RMSpropOptions*>(&options));
  } else {
    return try_as(dynamic_cast<SGDOptions*>(&options)) ||
        try_as(dynamic_cast<AdamOptions*>(&options)) ||
        try_as(dynamic_cast<AdamWOptions*>(&options)) ||
        try_as(dynamic_cast<RMSpropOptions*>(&options));
  }
}

// For Adam and AdamW, tch's momentum is the first beta.
template <typename Options>
double momentum_of(const Options& options) {
  if constexpr (std::is_same_v<Options, torch::optim::AdamOptions> ||
                std::is_same_v<Options, torch::optim::AdamWOptions>) {
    return std::get<0>(options.betas());
  } else {
    return options.momentum();
  }
}

template <typename Options>
void set_momentum_of(Options& options, double momentum) {
  if constexpr (std::is_same_v<Options, torch::optim::AdamOptions> ||
                std::is_same_v<Options, torch::optim::AdamWOptions>) {
    options.betas(std::make_tuple(momentum, std::get<1>(options.betas())));
  } else {
    options.momentum(momentum);
  }
}

template <typename State>
std::unique_ptr<OptimizerParamState> counted(std::int64_t step) {
  auto state = std::make_unique<State>();
  state->step(step);
  return state;
}

}  // namespace

OptimizerKind optimizer_kind(const Optimizer& optimizer) {
  if (dynamic_cast<const torch::optim::SGD*>(&optimizer)) return OptimizerKind::Sgd;
  if (dynamic_cast<const torch::optim::Adam*>(&optimizer)) return OptimizerKind::Adam;
  if (dynamic_cast<const torch::optim::AdamW*>(&optimizer)) return OptimizerKind::AdamW;
  if (dynamic_cast<const torch::optim::RMSprop*>(&optimizer)) return OptimizerKind::RmsProp;
  return OptimizerKind::Unknown;
}

std::size_t group_count(const Optimizer& optimizer) { return optimizer.param_groups().size(); }

void add_groups(Optimizer& optimizer, std::size_t count) {
  while (optimizer.param_groups().size() < count) {
    optimizer.add_param_group(torch::optim::OptimizerParamGroup(std::vector<Tensor>{}));
  }
}

GroupOptions group_options(const Optimizer& optimizer, std::size_t group) {
  const auto& groups = optimizer.param_groups();
  const auto& options = group == groups.size() ? optimizer.defaults() : groups.at(group).options();
  GroupOptions found{};
  const bool known = with_options(options, [&](const auto& own) {
    found.learning_rate = own.lr();
    found.momentum = momentum_of(own);
    found.weight_decay = own.weight_decay();
  });
  if (!known) found.learning_rate = options.get_lr();
  return found;
}

void set_group_options(Optimizer& optimizer, std::size_t group, GroupOptions wanted) {
  auto& groups = optimizer.param_groups();
  auto& options = group == groups.size() ? optimizer.defaults() : groups.at(group).options();
  const bool known = with_options(options, [&](auto& own) {
    own.lr(wanted.learning_rate);
    set_momentum_of(own, wanted.momentum);
    own.weight_decay(wanted.weight_decay);
  });
  if (!known) options.set_lr(wanted.learning_rate);
}

double second_moment_decay(const Optimizer& optimizer, std::size_t group) {
  const torch::optim::OptimizerOptions& options = optimizer.param_groups().at(group).options();
  if (auto* adam = dynamic_cast<const torch::optim::AdamOptions*>(&options)) {
    return std::get<1>(adam->betas());
  }
  if (auto* adamw = dynamic_cast<const torch::optim::AdamWOptions*>(&options)) {
    return std::get<1>(adamw->betas());
  }
  if (auto* rmsprop = dynamic_cast<const torch::optim::RMSpropOptions*>(&options)) {
    return rmsprop->alpha();
  }
  throw std::invalid_argument("This kind of optimizer keeps no mean squared gradient.");
}

void optimizer_zero_grad(Optimizer& optimizer) { optimizer.zero_grad(); }

void optimizer_step(Optimizer& optimizer) { optimizer.step(); }

namespace {

std::uint8_t slots_for(const torch::optim::OptimizerOptions& options) {
  if (auto* sgd = dynamic_cast<const torch::optim::SGDOptions*>(&options)) {
    return sgd->momentum() != 0 ? 0b001 : 0;
  }
  if (auto* adam = dynamic_cast<const torch::optim::AdamOptions*>(&options)) {
    return adam->amsgrad() ? 0b111 : 0b011;
  }
  if (auto* adamw = dynamic_cast<const torch::optim::AdamWOptions*>(&options)) {
    return adamw->amsgrad() ? 0b111 : 0b011;
  }
  if (auto* rmsprop = dynamic_cast<const torch::optim::RMSpropOptions*>(&options)) {
    return 0b001 | (rmsprop->momentum() > 0 ? 0b010 : 0) | (rmsprop->centered() ? 0b100 : 0);
  }
  throw std::invalid_argument("The state of this kind of optimizer is not known.");
}

}  // namespace

std::uint8_t required_slots(const Optimizer& optimizer) {
  std::uint8_t slots = slots_for(optimizer.defaults());
  for (const auto& group : optimizer.param_groups()) slots |= slots_for(group.options());
  return slots;
}

std::int64_t state_step(const Optimizer& optimizer, const Tensor& parameter) {
  OptimizerParamState* state = find_state(optimizer, parameter);
  if (state == nullptr) return -1;
  if (auto* adam = dynamic_cast<AdamParamState*>(state)) return adam->step();
  if (auto* adamw = dynamic_cast<AdamWParamState*>(state)) return adamw->step();
  if (auto* rmsprop = dynamic_cast<RMSpropParamState*>(state)) return rmsprop->step();
  return 0;  // SGD counts no steps.
}

std::unique_ptr<Tensor> state_slot(const Optimizer& optimizer, const Tensor& parameter, std::size_t slot) {
  OptimizerParamState* state = find_state(optimizer, parameter);
  if (state == nullptr) return nullptr;
  const Tensor& value = slot_of(*state, slot);
  return value.defined() ? std::make_unique<Tensor>(value) : nullptr;
}

void remove_state(Optimizer& optimizer, const Tensor& parameter) {
  optimizer.state().erase(key(parameter));
}

void create_state(Optimizer& optimizer, const Tensor& parameter, std::int64_t step) {
  std::unique_ptr<OptimizerParamState> state;
  switch (optimizer_kind(optimizer)) {
    case OptimizerKind::Sgd: state = std::make_unique<SGDParamState>(); break;
    case OptimizerKind::Adam: state = counted<AdamParamState>(step); break;
    case OptimizerKind::AdamW: state = counted<AdamWParamState>(step); break;
    case OptimizerKind::RmsProp: state = counted<RMSpropParamState>(step); break;
    default: throw std::invalid_argument("The state of this kind of optimizer is not known.");
  }
  optimizer.state()[key(parameter)] = std::move(state);
}

void set_state_slot(Optimizer& optimizer, const Tensor& parameter, std::size_t slot, const Tensor& value) {
  OptimizerParamState* state = find_state(optimizer, parameter);
  if (state == nullptr) throw std::invalid_argument("The parameter has no state to set a slot of.");
  slot_of(*state, slot) = value;
}

}  // namespace lookahead
